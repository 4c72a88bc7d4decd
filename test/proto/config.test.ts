import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { agentConfigSchema, checkAgentConfig } from '../../proto/agent-config.ts';
import { checkServerConfig, serverConfigSchema } from '../../proto/server-config.ts';
import type { Schema } from '../../proto/validate.ts';

const minimal = { identity: 'id.json', stateDir: 'state', source: { type: 'test' } };

t.test('a minimal configuration gets every default and cannot be changed', async (t) => {
  const config = checkAgentConfig(minimal, 'agent.json');
  t.equal(config.segment.durationMs, 4000);
  t.equal(config.audio.source, 'none');
  t.ok(Object.isFrozen(config.video));
  t.equal(checkServerConfig({}, 'server.json').mqtt.port, 8883);
});

t.test('every fault is named with its path', async (t) => {
  const document = {
    ...minimal,
    video: { width: 'wide', encoder: 'x264enc ! filesink location=/etc/passwd' },
    audio: { device: 'hw:0 ! udpsink host=evil' },
    uplink: { windows: 3 },
  };
  t.throws(() => checkAgentConfig(document, 'agent.json'), {
    code: 'CONFIG_INVALID',
    message:
      /agent\.json[\s\S]*\/video\/width[\s\S]*\/video\/encoder[\s\S]*\/audio\/device[\s\S]*\/uplink[\s\S]*windows/,
  });
});

t.test(
  'sources are typed: unknown kinds, missing parts and hostile values are refused',
  async (t) => {
    for (const source of [
      { type: 'udp' },
      { type: 'v4l2' },
      { type: 'v4l2', device: 'video0' },
      { type: 'rtsp', url: 'http://camera/' },
      { type: 'rtsp', url: 'rtsp://user:secret@camera/' },
      { type: 'file', path: '' },
      { type: 'test', path: 'x' },
      {},
      null,
    ])
      t.throws(
        () => checkAgentConfig({ ...minimal, source }, 'x'),
        { code: 'CONFIG_INVALID' },
        JSON.stringify(source),
      );
  },
);

interface Described extends Schema {
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly properties?: Readonly<Record<string, Described>>;
  readonly oneOf?: readonly Described[];
}

function range({ minimum, maximum, enum: values, const: only }: Described): string {
  if (only !== undefined) return `\`${only}\``;
  if (values) return values.map((value) => `\`${value}\``).join(', ');
  return minimum === undefined ? '' : `${minimum} – ${maximum}`;
}

/** Rows of the table of settings, as SETTINGS.md has them. */
function rows(schema: Described, path = '', required: readonly string[] = []): string[] {
  if (schema.oneOf) return schema.oneOf.flatMap((one) => rows(one, path));
  if (schema.properties) {
    const own = Array.isArray(schema.required) ? schema.required.map(String) : [];
    return Object.entries(schema.properties).flatMap(([key, inner]) =>
      rows(inner, path ? `${path}.${key}` : key, own),
    );
  }
  const isRequired = required.includes(path.split('.').at(-1) ?? '');
  const value = isRequired ? 'required' : `\`${JSON.stringify(schema.default ?? null)}\``;
  return [`| \`${path}\` | ${value} | ${range(schema)} | ${schema.description ?? ''} |`];
}

for (const [folder, schema] of [
  ['agent', agentConfigSchema],
  ['broker', serverConfigSchema],
] as const)
  t.test(`${folder}/SETTINGS.md lists the settings of the schema, word for word`, async (t) => {
    const path = new URL(`../../${folder}/SETTINGS.md`, import.meta.url);
    const [head = '', ...rest] = readFileSync(path, 'utf8').split('|---|---|---|---|\n');
    const expected = `${rows(schema as Described).join('\n')}\n`;
    // UPDATE=1 writes the table anew after a change of the schema.
    if (process.env.UPDATE) writeFileSync(path, `${head}|---|---|---|---|\n${expected}`);
    else t.equal(rest.join(''), expected);
  });
