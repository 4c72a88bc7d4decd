import t from 'tap';
import {
  instanceOf,
  mayPublish,
  maySubscribe,
  whyNotAsked,
  whyStranger,
} from '../../../broker/mqtt/authorize.ts';
import type { Exchange } from '../../../proto/topics.ts';

const own = 'cam-abcdefghijklmnop';
const other = 'cam-ponmlkjihgfedcba';
const up = (deviceId: string, noun = 'segment'): string => `lenscap/1/${deviceId}/up/${noun}`;

t.test('a device publishes its own up topics at QoS 1, and nothing else', async (t) => {
  t.same(mayPublish(own, { topic: up(own), qos: 1, retain: false }), { noun: 'segment' });
  for (const packet of [
    { topic: up(other), qos: 1, retain: false },
    { topic: `lenscap/1/${own}/down/grant`, qos: 1, retain: false },
    { topic: up(own, 'firmware'), qos: 1, retain: false },
    { topic: `lenscap/1/claim/${own}/request`, qos: 1, retain: false },
    { topic: `$SYS/${own}/new/clients`, qos: 1, retain: false },
    { topic: up(own), qos: 0, retain: false },
    { topic: up(own), qos: 2, retain: false },
    { topic: up(own), qos: 1, retain: true },
  ])
    t.hasProp(mayPublish(own, packet), 'refusal', JSON.stringify(packet));
});

t.test('a device subscribes its own down topics, and nothing else', async (t) => {
  t.ok(maySubscribe(own, `lenscap/1/${own}/down/grant`));
  for (const filter of [
    '#',
    '+/+/+/+/+',
    `lenscap/1/${own}/down/#`,
    `lenscap/1/${other}/down/grant`,
    up(own),
    '$SYS/#',
    `$share/g/lenscap/1/${own}/down/grant`,
  ])
    t.notOk(maySubscribe(own, filter), filter);
});

t.test('a board publishes the request of its own exchange, and nothing else', async (t) => {
  const exchange: Exchange = { kind: 'board', serial: 'S1' };
  const topic = 'lenscap/1/claim/serial-S1/request';
  t.equal(whyNotAsked(exchange, { topic, qos: 1, retain: false }), undefined);
  for (const packet of [
    { topic, qos: 0, retain: false },
    { topic, qos: 1, retain: true },
    { topic: `${topic}/`, qos: 1, retain: false },
    { topic: 'lenscap/1/claim/serial-S1/answer', qos: 1, retain: false },
    { topic: 'lenscap/1/claim/serial-S2/request', qos: 1, retain: false },
    { topic: up(own), qos: 1, retain: false },
  ])
    t.type(whyNotAsked(exchange, packet), 'string', JSON.stringify(packet));
});

t.test('only who bears the name in a certificate of ours is looked up', async (t) => {
  const caller = { clientId: own, isAuthorized: true, name: own };
  t.equal(whyStranger(caller), undefined);
  t.match(whyStranger({ ...caller, isAuthorized: false }), { refusal: 'foreign' });
  t.match(whyStranger({ ...caller, clientId: other }), { refusal: 'name' });
  t.match(whyStranger({ ...caller, name: undefined }), { refusal: 'name' });
});

t.test('an instance is 32 hex digits', async (t) => {
  t.equal(instanceOf('0123456789abcdef'.repeat(2)), '0123456789abcdef'.repeat(2));
  for (const name of [undefined, '', 'x', '0'.repeat(31), 'A'.repeat(32)])
    t.equal(instanceOf(name), undefined, `${name}`);
});
