import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  CLAIM_NOUNS,
  claimTopic,
  DOWN_NOUNS,
  downTopic,
  exchangeId,
  isInstanceId,
  parseClaimTopic,
  parseExchangeId,
  parseTopic,
  UP_NOUNS,
  upTopic,
} from '../../proto/topics.ts';

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

t.test('an exchange has its two topics and is known by its name', async (t) => {
  const exchanges = [
    { kind: 'claim', claimId: 'claim-abcdefghijklmnop' },
    { kind: 'board', serial: 'LC-2026.000_17' },
  ] as const;
  for (const exchange of exchanges) {
    t.same(parseExchangeId(exchangeId(exchange)), exchange);
    for (const noun of CLAIM_NOUNS) {
      t.equal(parseClaimTopic(exchange, claimTopic(exchange, noun)), noun);
      t.equal(parseTopic(claimTopic(exchange, noun)), undefined, 'no topic of a device');
      for (const other of exchanges.filter((one) => one !== exchange))
        t.equal(parseClaimTopic(other, claimTopic(exchange, noun)), undefined);
    }
    for (const topic of ['#', `${claimTopic(exchange, 'answer')}/#`, 'lenscap/1/claim/+/answer'])
      t.equal(parseClaimTopic(exchange, topic), undefined, topic);
  }
});

t.test('names that are none of an exchange or an instance', async (t) => {
  for (const id of [
    '',
    'claim-',
    'claim-ABCDEFGHIJKLMNOP',
    'serial-',
    'serial-a/b',
    'serial-+',
    deviceId,
  ])
    t.equal(parseExchangeId(id), undefined, id);
  t.ok(isInstanceId('0123456789abcdef0123456789abcdef'));
  for (const id of ['', 'x', '0123456789ABCDEF0123456789ABCDEF']) t.notOk(isInstanceId(id), id);
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
