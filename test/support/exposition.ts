/**
 * A strict reader of Prometheus' text format, as promtool checks it: what a lenient one would let pass is an error here.
 *
 *   # HELP name text        once, before # TYPE; \\ and \n escaped
 *   # TYPE name type        once, before the samples; all samples of a family stand together
 *   name{label="value",…} number
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];
const SAMPLE = /^([a-zA-Z_][a-zA-Z0-9_]*)(?:\{(.*)\})? (\S+)$/;
const NUMBER = /^([+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN)$/;

/** Throws with the line that is wrong. */
export function parseExposition(text: string): Family[] {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families: (Family & { samples: Sample[] })[] = [];
  const seen = new Set<string>();
  let help: { name: string; text: string } | null = null;
  for (const [index, line] of text.split('\n').entries()) {
    const wrong = (why: string): Error => new Error(`line ${index + 1}: ${why}: ${line}`);
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment?.[1] === 'HELP') {
      if (!NAME.test(comment[2]!)) throw wrong('no name');
      help = { name: comment[2]!, text: comment[3]! };
    } else if (comment?.[1] === 'TYPE') {
      const [, , name = '', type = ''] = comment;
      if (help?.name !== name) throw wrong('a type without its help before it');
      if (!TYPES.includes(type)) throw wrong('no type');
      if (families.some((family) => family.name === name)) throw wrong('a second type');
      families.push({ name, type, help: help.text, samples: [] });
    } else if (line.startsWith('#')) throw wrong('neither help nor type');
    else {
      const sample = parseSample(line, wrong);
      const family = families.at(-1);
      if (family === undefined || !belongs(sample.name, family))
        throw wrong('a sample outside of its family');
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (seen.has(key)) throw wrong('the same sample twice');
      seen.add(key);
      family.samples.push(sample);
    }
  }
  return families;
}

function belongs(name: string, { name: family, type }: Family): boolean {
  if (name === family) return true;
  const suffixes =
    type === 'histogram' ? ['_bucket', '_sum', '_count'] : type === 'summary' ? ['_sum', '_count'] : [];
  return suffixes.some((suffix) => name === `${family}${suffix}`);
}

function parseSample(line: string, wrong: (why: string) => Error): Sample {
  const [, name, inside, digits = ''] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw wrong('no sample');
  if (!NUMBER.test(digits)) throw wrong('no number');
  const value = digits.endsWith('Inf') ? Number(`${digits}inity`.replace('+', '')) : Number(digits);
  return { name, labels: inside === undefined ? {} : parseLabels(inside, wrong), value };
}

function parseLabels(text: string, wrong: (why: string) => Error): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== '') {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/.exec(rest);
    if (match === null) throw wrong('no label');
    const [whole, name = '', value = ''] = match;
    if (name in labels) throw wrong('a label twice');
    labels[name] = value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
    rest = rest.slice(whole.length);
  }
  return labels;
}

/** What promtool's linter objects to. */
export function lintExposition(families: readonly Family[]): string[] {
  const objections: string[] = [];
  for (const { name, type, help, samples } of families) {
    if (help.trim() === '') objections.push(`${name}: no help`);
    if (type === 'counter' && !name.endsWith('_total')) objections.push(`${name}: a counter ends in _total`);
    if (type !== 'counter' && name.endsWith('_total'))
      objections.push(`${name}: only a counter ends in _total`);
    if (/_(milliseconds|ms|minutes|hours|kilobytes|megabytes)(_|$)/.test(name))
      objections.push(`${name}: no base unit`);
    if (/[A-Z]/.test(name)) objections.push(`${name}: camel case`);
    for (const { labels } of samples) {
      for (const label of Object.keys(labels))
        if (/[A-Z]/.test(label)) objections.push(`${name}: label ${label}`);
    }
  }
  return [...new Set(objections)];
}
