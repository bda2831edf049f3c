/**
 * What is wrong with a target's guards that one key alone cannot tell.
 */
import { wildTableProblem } from '../rules/wild-table.ts';
import type { RawTarget } from './schema.ts';

type Path = readonly (string | number)[];

export function checkGuards(
  { guards, delay, guard_webhook: webhook }: RawTarget,
  path: Path,
  wrong: (path: Path, message: string) => void,
): void {
  if (guards.length === 0) {
    if (webhook !== undefined) {
      wrong([...path, 'guard_webhook'], 'does nothing without guards; add guards or remove the key');
    }
    return;
  }
  if (delay === 0) {
    wrong(
      [...path, 'guards'],
      'guards look ahead while a delay runs, and this target has none; add a delay, like delay: 1h',
    );
  }
  for (const [index, guard] of guards.entries()) {
    const problem = guard.is === 'alter' ? wildTableProblem(guard.table) : null;
    if (problem !== null) wrong([...path, 'guards', index, 'alter'], problem);
  }
}
