/**
 * How MySQL writes JSON strings and doubles: not quite as JavaScript does.
 */

/** Doubles whose point stands within 15 digits are written without an exponent (MAX_DECPT_FOR_F_FORMAT). */
const POINT_MAX = 15;

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that must be escaped.
const MUST_ESCAPE = /["\\\u0000-\u001f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
const EVERY_ESCAPE = /["\\\u0000-\u001f]/g;

export function quoteJson(text: string): string {
  return MUST_ESCAPE.test(text) ? `"${text.replace(EVERY_ESCAPE, escapeOf)}"` : `"${text}"`;
}

function escapeOf(character: string): string {
  return ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/**
 * The shortest digits that give the same double, laid out as my_gcvt does, and always recognisable as a double:
 * 2.0, 1e20, 0.00000015. `value` is finite: JSON has no other doubles.
 */
export function doubleText(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [mantissa, exponentText] = Math.abs(value).toExponential().split('e') as [string, string];
  const digits = mantissa.replace('.', '');
  const exponent = Number(exponentText);
  const sign = value < 0 ? '-' : '';
  /** Digits before the point. */
  const point = exponent + 1;
  if (point > -POINT_MAX && (point <= POINT_MAX || digits.length > point)) {
    if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
    if (digits.length <= point) return `${sign}${digits}${'0'.repeat(point - digits.length)}.0`;
    return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
  }
  const tail = digits.length > 1 ? `.${digits.slice(1)}` : '';
  return `${sign}${digits[0]}${tail}e${exponent}`;
}
