import t from 'tap';
import { mayPublish, maySubscribe, whyNotAdmitted } from '../../../broker/mqtt/authorize.ts';

const own = 'cam-abcdefghijklmnop';
const other = 'cam-ponmlkjihgfedcba';
const up = (deviceId: string, noun = 'segment'): string => `lenscap/1/${deviceId}/up/${noun}`;

t.test('a device publishes its own up topics at QoS 1, and nothing else', async (t) => {
  t.same(mayPublish(own, { topic: up(own), qos: 1, retain: false }), { noun: 'segment' });
  for (const packet of [
    { topic: up(other), qos: 1, retain: false },
    { topic: `lenscap/1/${own}/down/grant`, qos: 1, retain: false },
    { topic: up(own, 'firmware'), qos: 1, retain: false },
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

t.test(
  'a certificate admits its device only while it is known, valid and not revoked',
  async (t) => {
    const row = { serial: '1', device_id: own, not_after_us: 100, revoked_at_us: null };
    t.equal(whyNotAdmitted(own, own, row, 99), undefined);
    t.match(whyNotAdmitted(other, own, row, 99), /client id/);
    t.match(whyNotAdmitted(own, undefined, row, 99), /client id/);
    t.match(whyNotAdmitted(own, own, undefined, 99), /not known/);
    t.match(whyNotAdmitted(own, own, { ...row, device_id: other }, 99), /not known/);
    t.match(whyNotAdmitted(own, own, { ...row, revoked_at_us: 5 }, 99), /revoked/);
    t.match(whyNotAdmitted(own, own, row, 100), /expired/);
  },
);
