/**
 * The configuration file as a file: which one, its text, and how a problem in it is told.
 */
import { readFileSync, statSync } from 'node:fs';
import { MillraceError } from '../base/errors.ts';
import type { ConfigProblem } from './config.ts';
import type { Environment } from './yaml-source.ts';

const CONFIG_BYTES_MAX = 1024 * 1024;

/** $MILLRACE_CONFIG, else ./config.yaml. */
export function defaultConfigFile(environment: Environment): string {
  return environment.MILLRACE_CONFIG || 'config.yaml';
}

/** Throws CONFIG when it cannot be read, is no text, or is too large to be meant. */
export function readConfigText(file: string): string {
  let bytes: Buffer;
  try {
    if (statSync(file).size > CONFIG_BYTES_MAX) {
      throw new MillraceError('CONFIG', `${file}: larger than 1 MiB; this is no configuration file`);
    }
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new MillraceError('CONFIG', `${file}: ${fileErrorText(error)}`, {
      hint: 'Give the configuration file with -c FILE or in $MILLRACE_CONFIG; config.example.yaml shows one.',
    });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new MillraceError('CONFIG', `${file}: is not UTF-8 text`);
  }
}

export function fileErrorText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'is a folder, not a file';
  return message;
}

/** `config.yaml:10:3: channels[0].targets[0].delai: unknown key; did you mean delay?` */
export function problemLine(file: string, problem: Omit<ConfigProblem, 'code'>): string {
  const path = problem.path === '' ? '' : `${problem.path}: `;
  return `${file}:${problem.line}:${problem.column}: ${path}${problem.message}`;
}

export function problemsError(file: string, problems: readonly ConfigProblem[]): MillraceError {
  const first = problems[0]!;
  const more = problems.length - 1;
  const rest = more === 0 ? '' : ` (and ${more} more: \`millrace check\` lists all)`;
  return new MillraceError(first.code, `${problemLine(file, first)}${rest}`);
}
