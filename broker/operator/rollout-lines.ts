// A rollout in lines and as JSON, as the operator reads it. Pure.
import { harmless } from '../../proto/harmless.ts';
import { DEVICE_STATES } from '../fleet/rollout-states.ts';
import type { RolloutView } from '../fleet/rollouts.ts';
import type { RolloutDeviceRow } from '../store/rollout-rows.ts';
import { iso } from './devices.ts';

const REMARKS: Readonly<Record<string, string>> = {
  silent: 'did not answer in time',
  unknown: 'its owner does not share its configuration, so what became of it is not known',
  superseded: 'it was changed again before it was applied',
  refused: 'the server did not take it',
  unchanged: 'it was so already',
};

export function listLines(views: readonly RolloutView[]): string[] {
  return views.map(
    ({ row, devices }) =>
      `${row.rollout_id}  ${row.state}  begun ${iso(row.created_at_us)} by ${clean(row.actor)}  ${selectorOf(row.selector)}  ${countsOf(devices)}`,
  );
}

export function rolloutLines({ row, devices }: RolloutView): string[] {
  const last = devices.reduce((most, { stage }) => Math.max(most, stage), 0);
  const stages = Array.from({ length: last }, (_, at) => {
    const ofStage = devices.filter(({ stage }) => stage === at + 1);
    return `stage ${at + 1}:  ${ofStage.length} devices  ${countsOf(ofStage)}`.trimEnd();
  });
  return [
    `rollout:  ${row.rollout_id}`,
    `state:    ${row.state}${row.why === null ? '' : ` (${clean(row.why)})`} since ${iso(row.state_at_us)}`,
    `begun:    ${iso(row.created_at_us)} by ${clean(row.actor)}`,
    `devices:  ${devices.length}, ${selectorOf(row.selector)}`,
    `patch:    ${clean(row.patch)}`,
    `limits:   stops above ${row.stop_percent} %, waits ${row.wait_s} s, settles ${row.settle_s} s`,
    ...stages,
    ...devices.map(deviceLine),
  ];
}

export function rolloutJson({ row, devices }: RolloutView): Record<string, unknown> {
  return {
    id: row.rollout_id,
    state: row.state,
    why: row.why,
    stateAt: iso(row.state_at_us),
    createdAt: iso(row.created_at_us),
    actor: row.actor,
    labels: JSON.parse(row.selector),
    patch: JSON.parse(row.patch),
    stopPercent: row.stop_percent,
    waitS: row.wait_s,
    settleS: row.settle_s,
    counts: Object.fromEntries(countStates(devices)),
    devices: devices.map((device) => ({
      deviceId: device.device_id,
      stage: device.stage,
      version: device.version,
      state: device.state,
      stateAt: iso(device.state_at_us),
      detail: device.detail,
    })),
  };
}

function deviceLine(device: RolloutDeviceRow): string {
  const { device_id, stage, version, state, state_at_us, detail } = device;
  const remark = detail === '' ? (REMARKS[state] ?? '') : detail;
  return [
    ...[device_id, `stage ${stage}`, version === null ? '-' : `version ${version}`],
    ...[state, iso(state_at_us), clean(remark)],
  ]
    .join('  ')
    .trimEnd();
}

function selectorOf(selector: string): string {
  const labels: Record<string, string> = JSON.parse(selector);
  const named = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return named.join(' ') || 'every device';
}

function countsOf(devices: readonly RolloutDeviceRow[]): string {
  return countStates(devices)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ');
}

function countStates(devices: readonly RolloutDeviceRow[]): [state: string, count: number][] {
  return DEVICE_STATES.map((state): [string, number] => [
    state,
    devices.filter((device) => device.state === state).length,
  ]).filter(([, count]) => count > 0);
}

/** Details come from cameras: on one line, and nothing of theirs moves the cursor. */
function clean(text: string): string {
  return harmless(text.replace(/\s+/g, ' '));
}
