// Who may import what: the table of the architecture as code. The longest prefix counts; a file
// without a row fails, so that a new part cannot slip in unseen.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t from 'tap';

const root = join(import.meta.dirname, '..');
const node = 'node:';

/** Path prefix -> prefixes of what it may import: our own paths, packages, `node:`. */
const TABLE: Readonly<Record<string, readonly string[]>> = {
  proto: ['proto', node, 'ajv'],
  'proto/wire.ts': ['proto', '#proto', 'protobufjs'],
  'proto/plain-integers.ts': ['protobufjs'],
  agent: ['agent', 'proto', node, 'pino'],
  'agent/main.ts': ['agent', 'proto', node, 'pino', 'commander'],
  'agent/capture/child.ts': ['agent/capture', 'proto', node, 'gstreamer-superficial'],
  'agent/uplink/session.ts': ['agent', 'proto', node, 'pino', 'mqtt'],
  broker: ['broker', 'proto', 'package.json', node, 'pino', 'commander'],
  'broker/mqtt': ['broker', 'proto', node, 'pino', 'aedes'],
  'broker/collector': ['broker/collector', 'broker/consent', 'broker/store', 'proto', node, 'pino'],
  'broker/consent': ['broker/consent', 'broker/fleet/states.ts', 'broker/store', 'proto', node],
  'broker/fleet': [
    'broker/fleet',
    'broker/consent',
    'broker/store',
    'proto',
    node,
    '@peculiar/x509',
    'reflect-metadata',
  ],
  'broker/store': ['broker/store', 'proto', node, 'kysely'],
  'broker/portal': [
    'broker/portal',
    'broker/consent',
    'broker/fleet',
    'broker/store',
    'proto',
    node,
    'pino',
    'fastify',
    '@fastify/',
    'qrcode',
  ],
  'broker/metrics': [
    'broker/metrics',
    'broker/fleet/states.ts',
    'broker/store/overview.ts',
    'broker/store/told.ts',
    'proto',
    node,
    'pino',
    'prom-client',
  ],
  'broker/cli': ['broker/cli', 'proto', node, 'commander', 'qrcode'],
  test: [
    'test',
    'agent',
    'broker',
    'proto',
    node,
    'tap',
    'commander',
    'pino',
    'mqtt',
    'mqtt-packet',
    'aedes',
    'kysely',
    'fastify',
    'qrcode',
    '@peculiar/x509',
    'reflect-metadata',
  ],
  'test/proto/validate.test.ts': ['proto', 'tap', 'ajv'],
};

function importsOf(source: string): string[] {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s*'([^']+)'|(?:^|\n)import\s*'([^']+)'|\bimport\('([^']+)'\)|\brequire\w*\)?\('([^']+)'\)/g;
  return [...source.matchAll(pattern)].map((match) => match.slice(1).find(Boolean) ?? '');
}

function rowOf(path: string): readonly string[] | undefined {
  const key = Object.keys(TABLE)
    .filter((prefix) => path === prefix || path.startsWith(`${prefix}/`))
    .sort((one, two) => two.length - one.length)[0];
  return key === undefined ? undefined : TABLE[key];
}

const files = globSync(['agent/**/*.ts', 'broker/**/*.ts', 'proto/*.ts', 'test/**/*.ts'], {
  cwd: root,
});

t.test('every import is in the table of who may import what', async (t) => {
  t.ok(files.length > 100, `${files.length} files`);
  for (const file of files) {
    const allowed = rowOf(file);
    t.ok(allowed, `${file} has a row`);
    for (const specifier of importsOf(readFileSync(join(root, file), 'utf8'))) {
      const target = specifier.startsWith('.')
        ? relative(root, join(root, dirname(file), specifier))
        : specifier;
      const isAllowed = allowed?.some(
        (prefix) =>
          target === prefix ||
          target.startsWith(prefix.endsWith(':') || prefix.endsWith('/') ? prefix : `${prefix}/`),
      );
      if (!isAllowed) t.fail(`${file} may not import ${target}`);
    }
  }
});

t.test('SQL is spoken under broker/store only', async (t) => {
  for (const file of files.filter(
    (path) => path.startsWith('broker/') && !path.startsWith('broker/store/'),
  ))
    t.notMatch(
      readFileSync(join(root, file), 'utf8'),
      /from 'kysely'|node:sqlite|\.selectFrom\(|\.insertInto\(/,
      file,
    );
});

t.test('the environment, arguments, signals and exit belong to the main files', async (t) => {
  for (const file of files.filter(
    (path) => !path.startsWith('test/') && !path.endsWith('/main.ts'),
  ))
    t.notMatch(
      readFileSync(join(root, file), 'utf8'),
      /process\.(argv|env\b|exit\(|on\('SIG|once\('SIG)/,
      file,
    );
});

t.test('topics are built in proto/topics.ts only', async (t) => {
  for (const file of files.filter(
    (path) => !path.startsWith('test/') && path !== 'proto/topics.ts',
  ))
    t.notMatch(readFileSync(join(root, file), 'utf8'), /['`"]lenscap\/1/, file);
});

t.test('no test matches against an empty list, which any list would match', async (t) => {
  for (const file of files.filter((path) => path.startsWith('test/')))
    t.notMatch(readFileSync(join(root, file), 'utf8'), /t\.match\([^;]*?\w: \[\][,\s}]/, file);
});
