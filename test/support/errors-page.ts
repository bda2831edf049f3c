/**
 * docs/errors.md as Markdown, made of the registry of codes and its catalogue.
 */
import { join } from 'node:path';
import { ERROR_CATALOGUE } from '../../src/base/error-catalogue.ts';
import { type Action, ERROR_CODES, type ErrorCode } from '../../src/base/errors.ts';
import { repositoryRoot } from './repository.ts';

export const ERRORS_PAGE = join(repositoryRoot, 'docs', 'errors.md');

const ACTIONS: Readonly<Record<Action, string>> = {
  retry: 'retried',
  stop: 'stops until somebody acts',
  resync: 'the relay log is fetched again',
};

export function errorsPage(): string {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  return [
    '# Errors',
    '',
    '<!-- Made by `npm run docs:errors` from src/base/error-catalogue.ts: edit that. -->',
    '',
    'Every error that Millrace tells has a code. It stands at the end of a line of the command line, in the log as `code`, in',
    '`status --json` as `last_error_code`, and in the findings of `check --json`. Codes are never renamed.',
    '',
    '| code | what it means | what happens |',
    '|---|---|---|',
    ...codes.map(
      (code) => `| [${code}](#${code}) | ${ERROR_CATALOGUE[code].means} | ${ACTIONS[ERROR_CODES[code]]} |`,
    ),
    '',
    ...codes.flatMap(entry),
  ].join('\n');
}

/** The anchor keeps the case that the references have; a heading's own is in small letters. */
function entry(code: ErrorCode): string[] {
  const { means, does, todo } = ERROR_CATALOGUE[code];
  return [
    `<a id="${code}"></a>`,
    '',
    `## ${code}`,
    '',
    means,
    '',
    `**What Millrace does.** ${does}`,
    '',
    '**What you do.**',
    '',
    ...todo.map((step) => `- ${step}`),
    '',
  ];
}
