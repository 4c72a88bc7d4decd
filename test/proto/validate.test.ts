// The validator trusts our schemas to be schemas: here they are looked at.
import { Ajv } from 'ajv';
import t from 'tap';
import { agentConfigSchema } from '../../proto/agent-config.ts';
import { deviceConfigSchema } from '../../proto/device-config.ts';
import { serverConfigSchema } from '../../proto/server-config.ts';

const schemas = { agentConfigSchema, deviceConfigSchema, serverConfigSchema };

for (const [name, schema] of Object.entries(schemas))
  t.test(`${name} is a JSON schema`, async (t) => {
    const ajv = new Ajv();
    t.equal(ajv.validateSchema(schema), true, ajv.errorsText());
  });

t.test('what is no JSON schema is found', async (t) => {
  t.equal(new Ajv().validateSchema({ ...agentConfigSchema, minimum: 'one' }), false);
});
