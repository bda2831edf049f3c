import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ERROR_CATALOGUE } from '../../../src/base/error-catalogue.ts';
import {
  ERROR_CODES,
  type ErrorCode,
  errorReference,
  MillraceError,
  referredErrorLine,
  toPlain,
} from '../../../src/base/errors.ts';
import { ERRORS_PAGE, errorsPage } from '../../support/errors-page.ts';

const codes = Object.keys(ERROR_CODES) as ErrorCode[];

describe('docs/errors.md', () => {
  test('is what `npm run docs:errors` makes of the catalogue', () => {
    expect(readFileSync(ERRORS_PAGE, 'utf8')).toBe(errorsPage());
  });

  test('has a place for every reference that the command line prints', () => {
    const page = readFileSync(ERRORS_PAGE, 'utf8');
    for (const code of codes) {
      const [, anchor] = errorReference(code).split('docs/errors.md#');
      expect(page).toContain(`<a id="${anchor}"></a>`);
    }
  });

  test('says of every code what it means, what is done, and what to do', () => {
    expect(Object.keys(ERROR_CATALOGUE).sort()).toEqual([...codes].sort());
    for (const { means, does, todo } of Object.values(ERROR_CATALOGUE)) {
      for (const text of [means, does, ...todo]) expect(text).toMatch(/[.?]$/);
      expect(todo.length).toBeGreaterThan(0);
      // A table cell ends at a bar or a line feed.
      expect(means).not.toMatch(/[|\n]/);
    }
  });
});

test('an error line ends with its reference, on the same line', () => {
  const error = new MillraceError('DISK', 'cannot write x', {
    hint: 'Look at the disk.',
    facts: { errno: 'EIO' },
  });
  expect(referredErrorLine(toPlain(error))).toBe(
    'cannot write x (errno=EIO) — Look at the disk. [see docs/errors.md#DISK]',
  );
});
