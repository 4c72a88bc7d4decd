// A configuration in lines, as its owner reads it: what is wanted, what the camera says, where they
// differ and since when. Pure.
import type { ConfigEntry, ConfigState, ConfigWritten, ReportedConfig } from './config-answers.ts';
import { nameOf, settingsOf, shownValue } from './config-patch.ts';

const NOT_SHARED = 'not known, since you share no device information';

export function configLines(state: ConfigState): string[] {
  const wanted = settingsOf(state.document);
  return [
    `desired:    ${writtenLine(state)}`,
    ...(wanted.length === 0 ? ["  nothing: all is as the board's own configuration says"] : []),
    ...wanted.map(([name, value]) => `  ${name} = ${value}`),
    `reported:   ${reportedLine(state)}`,
    ...faultsOf(state.reported),
    ...differenceLines(state),
  ];
}

function writtenLine({ version, writtenAt, writtenBy, how }: ConfigWritten): string {
  if (writtenAt === null) return 'version 0; nobody has changed anything';
  const way = how === null || how === 'api' ? '' : ` (${how})`;
  return `version ${version}, by ${by(writtenBy)}${way} at ${writtenAt}`;
}

function by(writer: string | null): string {
  return writer === 'owner' ? 'you' : `the ${writer}`;
}

function reportedLine(desired: ConfigState): string {
  const { shared, reported } = desired;
  if (!shared) return NOT_SHARED;
  if (!reported) return `the camera has not said anything yet${connection(desired)}`;
  const { version, state, receivedAt, code, detail } = reported;
  const why = [code, detail].filter((part) => part !== null && part !== '').join(': ');
  const said = state === 'accepted' ? 'accepted and being tried' : state;
  return oneLine(
    `version ${version} ${said}${why === '' ? '' : ` (${why})`} at ${receivedAt}${inForce(reported)}${pending(desired, version)}`,
  );
}

function inForce({ version, inForce: inForceNow }: ReportedConfig): string {
  if (inForceNow === version) return '';
  return `; in force is ${inForceNow === 0 ? "the board's own" : `version ${inForceNow}`}`;
}

function pending(desired: ConfigState, answered: number): string {
  if (answered >= desired.version) return '';
  return `; nothing yet about version ${desired.version}${connection(desired)}`;
}

function connection({ connected }: ConfigState): string {
  return connected ? '' : ', it is not connected';
}

function faultsOf(reported: ReportedConfig | null): string[] {
  return (reported?.faults ?? []).map(({ path, message }) =>
    oneLine(`  ${nameOf(path)}: ${message}`),
  );
}

/** What a camera says is on the line that it is for. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ');
}

function differenceLines({ shared, reported, differences, since }: ConfigState): string[] {
  if (!shared) return [`difference: ${NOT_SHARED}`];
  if (!reported) return ['difference: not known'];
  if (differences.length === 0) return ['difference: none'];
  return [
    `difference: since ${since ?? 'a time that is not known'}`,
    ...differences.map(({ path, desired, reported: told }) =>
      oneLine(`  ${nameOf(path)}: wanted ${shownValue(desired)}, in force ${shownValue(told)}`),
    ),
  ];
}

/** Rows of a table. */
export function historyRows(entries: readonly ConfigEntry[]): string[][] {
  return [
    ['VERSION', 'AT', 'BY', 'HOW', 'CHANGED'],
    ...entries.map(({ version, writtenAt, writtenBy, how, paths }) => [
      String(version),
      writtenAt ?? '',
      by(writtenBy),
      how ?? '',
      paths === null ? 'not known any more' : paths.map(nameOf).join(', ') || 'nothing',
    ]),
  ];
}
