// What can be set of a camera, from the schema that documents are held to: names, ranges, meaning. Pure.

type Schema = Readonly<Record<string, unknown>>;

/** Rows of a table; of one group, or of all. */
export function settingRows(schema: unknown, prefix = ''): string[][] {
  const rows = settings(schema, '').filter(
    ([name = '']) => name === prefix || name.startsWith(`${prefix}.`) || prefix === '',
  );
  return [['SETTING', 'VALUE', 'MEANING'], ...rows];
}

function settings(schema: unknown, name: string): string[][] {
  const { properties, description } = schemaOf(schema);
  if (properties === undefined)
    return [[name, allowedBy(schemaOf(schema)), String(description ?? '')]];
  return Object.entries(schemaOf(properties)).flatMap(([key, inner]) =>
    settings(inner, name === '' ? key : `${name}.${key}`),
  );
}

function allowedBy({ type, enum: values, minimum, maximum, maxLength, maxItems }: Schema): string {
  if (Array.isArray(values)) return values.join(' | ');
  const types = [type].flat().filter((one) => one !== 'null');
  if (types.includes('boolean')) return 'true | false';
  if (types.includes('string'))
    return maxLength === undefined ? 'text' : `text, up to ${maxLength}`;
  if (types.includes('array')) return maxItems === undefined ? 'list' : `list, up to ${maxItems}`;
  return `${minimum} to ${maximum}`;
}

function schemaOf(value: unknown): Schema {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
