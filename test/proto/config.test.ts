import { readFileSync } from 'node:fs';
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

/** Path of every setting, with its default, as the README lists them. */
function settings(schema: Schema, path = ''): string[] {
  const { properties, oneOf } = schema as { properties?: Record<string, Schema>; oneOf?: Schema[] };
  if (oneOf) return oneOf.flatMap((one) => settings(one, path));
  if (!properties) return [path];
  return Object.entries(properties).flatMap(([key, inner]) =>
    settings(inner, path ? `${path}.${key}` : key),
  );
}

for (const [file, schema] of [
  ['agent', agentConfigSchema],
  ['broker', serverConfigSchema],
] as const)
  t.test(`the settings in the README of ${file}/ are those of the schema`, async (t) => {
    const readme = readFileSync(new URL(`../../${file}/SETTINGS.md`, import.meta.url), 'utf8');
    const listed = [...readme.matchAll(/^\| `([\w.]+)` \|/gm)].map(([, path]) => path);
    t.same(listed.sort(), [...new Set(settings(schema))].sort());
  });
