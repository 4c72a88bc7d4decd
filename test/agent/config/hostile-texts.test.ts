// Every text that can be pushed, found by walking the schema, with the syntax of GStreamer, of a shell
// and of markup in it: it is refused with its path, or changes no text of a pipeline.
import t from 'tap';
import { capturePlan } from '../../../agent/capture/pipeline.ts';
import { knownTracks } from '../../../agent/capture/source.ts';
import { merged } from '../../../agent/config/merged.ts';
import type { AgentConfig } from '../../../proto/agent-config.ts';
import {
  type DeviceConfig,
  deviceConfigSchema,
  isObject,
  type Json,
  type JsonObject,
  mergePatch,
} from '../../../proto/device-config.ts';
import { boardOf } from './boards.ts';

const HOSTILE = [
  '! filesink location=/tmp/x',
  '" ! udpsink host=evil',
  ')! fakesink',
  'a b.c=d',
  '%s%n',
  '$(reboot)',
  '`id`',
  '\'"\\',
  '<b>&',
  'A',
  '../../etc/passwd',
];
const CONTROL = ['a\nb', '\u001b[2J', '\u202eabc', '\u0000', '\u2028'];
/** Values of texts beside the one that is looked at. */
const SAMPLES = ['08:00', '17:00'];

type Path = readonly (string | 0)[];

const schemaOf = (schema: unknown): JsonObject => (isObject(schema) ? schema : {});
const isList = (json: Json | undefined): json is readonly Json[] => Array.isArray(json);
const isText = ({ type, enum: values }: JsonObject) =>
  type === 'string' || (isList(type) && type.includes('string')) || isList(values);

/** Where texts can stand in a document. */
function textsOf(schema: JsonObject, path: Path = []): Path[] {
  const { properties, items } = schema;
  return [
    ...(isText(schema) ? [path] : []),
    ...Object.entries(schemaOf(properties)).flatMap(([key, inner]) =>
      textsOf(schemaOf(inner), [...path, key]),
    ),
    ...(items === undefined ? [] : textsOf(schemaOf(items), [...path, 0])),
  ];
}

/** The least value of a schema in which `value` stands at `path`. */
function holding(schema: JsonObject, [key, ...rest]: Path, value: string): Json {
  if (key === undefined) return value;
  const { properties, items, required } = schema;
  if (key === 0) return [holding(schemaOf(items), rest, value)];
  const inner = schemaOf(properties);
  const others = (isList(required) ? required : []).map((name, at) => [
    String(name),
    sample(schemaOf(inner[String(name)]), at),
  ]);
  const { [key]: chosen } = inner;
  return { ...Object.fromEntries(others), [key]: holding(schemaOf(chosen), rest, value) };
}

function sample({ enum: values, items, pattern }: JsonObject, at: number): Json {
  if (isList(values)) return values[0] ?? null;
  if (items !== undefined) return [sample(schemaOf(items), at)];
  const fitting = SAMPLES.filter((text) => new RegExp(String(pattern)).test(text));
  const text = fitting[at % fitting.length];
  if (text === undefined) throw new Error(`no sample for ${pattern}: give one`);
  return text;
}

const boards = [
  { source: { type: 'test' } },
  { source: { type: 'v4l2', device: '/dev/video0', format: 'h264' }, audio: { source: 'alsa' } },
  { source: { type: 'rtsp', url: 'rtsp://h/s' } },
].map((over) => boardOf('/nowhere', over));
/** All that is written into pictures is. */
const SHOWN = { overlay: { name: true, clock: true } };

/** What is parsed by GStreamer, and which properties are set apart from it. */
function pipelineOf(config: AgentConfig): { readonly launch: string; readonly set: string[] } {
  const { launch, properties } = capturePlan({
    ...config,
    credentials: null,
    tracks: knownTracks(config.source, true),
    videoEncoder: 'x264enc',
    audioEncoder: 'avenc_aac',
  });
  return { launch, set: properties.map(({ element, name }) => `${element}.${name}`) };
}

const schema = schemaOf(JSON.parse(JSON.stringify(deviceConfigSchema)));
const texts = textsOf(schema);

t.test('the walk finds the texts of every depth', async (t) => {
  const found = texts.map((path) => path.join('/'));
  for (const known of [
    'label/name',
    'clock/timeZone',
    'recording/schedule/0/days/0',
    'uplink/meteredInterfaces/0',
  ])
    t.ok(found.includes(known), known);
});

for (const path of texts) {
  const name = `/${path.join('/')}`;
  t.test(`${name} brings no syntax into a pipeline`, async (t) => {
    const accepted = [...HOSTILE, ...CONTROL].filter((text) => {
      const document = mergePatch(SHOWN, holding(schema, path, text));
      const taken = boards.map((board) => tries(board, document));
      const [first = ''] = taken;
      t.ok(taken.every((one) => one === first) && (first === 'same' || isAt(first, name)), first);
      return first === 'same';
    });
    t.strictSame(
      accepted.filter((text) => CONTROL.includes(text)),
      [],
    );
  });
}

/** `same`: it is taken, and the pipeline is that of any other text. Else where it is refused. */
function tries(board: AgentConfig, document: Json): string {
  const plain: DeviceConfig = { ...SHOWN, label: { name: 'Garden' } };
  const { config, faults } = merged(board, isObject(document) ? document : {});
  if (config === null) return faults.map((fault) => `${fault.path}: ${fault.message}`).join('\n');
  const before = pipelineOf(merged(board, plain).config ?? board);
  const after = pipelineOf(config);
  return JSON.stringify(before) === JSON.stringify(after) ? 'same' : `other: ${after.launch}`;
}

/** A fault names the setting itself. */
function isAt(faults: string, name: string): boolean {
  return faults.split('\n').every((line) => line.startsWith(`${name}: `));
}
