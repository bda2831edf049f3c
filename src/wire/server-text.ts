/**
 * What a server says in an error, without the values that it repeats: rows and passwords stand in statements and in their
 * errors, and errors stand in logs, in the status and on the page.
 *
 *   Duplicate entry 'bob@example.com' for key 'users.email'      → Duplicate entry '…' for key 'users.email'
 *   … syntax to use near 'IDENTIFIED BY 'hunter2'' at line 1      → … syntax to use near '…' at line 1
 *   Incorrect string value: '\xE9' for column 'name' at row 1     → Incorrect string value: '…' for column 'name' at row 1
 *
 * Names of tables, columns and keys stay: they are what an operator needs. A value may hold quotes itself, so what is taken out
 * reaches to the last place where it could end.
 */

/** The first that fits takes the value out. */
const VALUES: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  [/(Duplicate (?:entry|foreign-key) )'.*'( for key )/is, "$1'…'$2"],
  [/\b(constraint for table '.*?', record )'.*'( would lead to a duplicate entry)/is, "$1'…'$2"],
  [/\b(constraints for table '.*?', entry )'.*'(, key \d+ would lead to a duplicate entry)/is, "$1'…'$2"],
  [/( near )['"].*['"](?= at line \d+)/is, "$1'…'"],
  [/( near )['"].*$/is, "$1'…'"],
  [/(value is out of range in )'.*'/is, "$1'…'"],
  [/( no partition for value ).*$/is, '$1…'],
  [/\b(Illegal \S+ )'.*'( value found)/is, "$1'…'$2"],
  [
    /\b((?:value|string|text|argument|literal)s?:? )(['"]).*\2(?= for (?:column|function|variable)\b)/is,
    "$1'…'",
  ],
  [/\b((?:values?(?: of)?|string|text|argument|literal):? )(['"]).*\2/is, "$1'…'"],
];

/** Nothing behind a word that names a secret is shown, from the first literal on. */
const SECRET = /\b(identified|password|passwd|secret)\b([^'"]*)(?:['"]|\b0x).*$/is;

export function withoutValues(message: string): string {
  const mask = VALUES.find(([pattern]) => pattern.test(message));
  if (mask !== undefined) return message.replace(mask[0], mask[1]);
  return message.replace(SECRET, "$1$2'…'");
}
