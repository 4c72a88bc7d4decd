import { readFileSync } from 'node:fs';
import t from 'tap';
import { DOWN_NOUNS, downTopic, parseTopic, UP_NOUNS, upTopic } from '../../proto/topics.ts';

const deviceId = 'cam-abcdefghijklmnop';

t.test('every topic is parsed into what it was built from', async (t) => {
  for (const noun of UP_NOUNS)
    t.same(parseTopic(upTopic(deviceId, noun)), { deviceId, direction: 'up', noun });
  for (const noun of DOWN_NOUNS)
    t.same(parseTopic(downTopic(deviceId, noun)), { deviceId, direction: 'down', noun });
});

t.test('what is not one of our topics is none', async (t) => {
  for (const topic of [
    '',
    '#',
    'lenscap/1/+/up/segment',
    `lenscap/1/${deviceId}/#`,
    `$share/x/lenscap/1/${deviceId}/down/grant`,
    '$SYS/broker/new/clients',
    `lenscap/2/${deviceId}/up/segment`,
    `lenscap/1/${deviceId}/up/grant`,
    `lenscap/1/${deviceId}/down/segment`,
    `lenscap/1/${deviceId}/up/segment/x`,
    'lenscap/1/cam-../up/segment',
    'lenscap/1/__proto__/up/segment',
    `lenscap/1/${deviceId.toUpperCase()}/up/segment`,
  ])
    t.equal(parseTopic(topic), undefined, topic);
});

t.test('a topic cannot be built for something that is no device id', async (t) => {
  t.throws(() => upTopic('cam-x/../y', 'segment'), { code: 'BUG' });
});

t.test('the table of topics in the README is the one in the code', async (t) => {
  const readme = readFileSync(new URL('../../proto/README.md', import.meta.url), 'utf8');
  const listed = [...readme.matchAll(/^\| `(up|down)\/(\w+)`/gm)].map(
    ([, way, noun]) => `${way}/${noun}`,
  );
  const known = [
    ...UP_NOUNS.map((noun) => `up/${noun}`),
    ...DOWN_NOUNS.map((noun) => `down/${noun}`),
  ];
  t.same(listed.sort(), known.sort());
});
