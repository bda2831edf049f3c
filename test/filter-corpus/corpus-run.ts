/**
 * Runs cases of the filter corpus and tells what came of them.
 */
import type { CorpusCase } from './corpus.ts';
import { FilterLab, type Outcome } from './filter-lab.ts';

export interface CorpusResult {
  readonly cases: number;
  /** Cases after which the two replicas differ, or of which one stopped where it should not have. */
  readonly differing: readonly string[];
  /** Both stopped, with Millrace's reason. */
  readonly stopped: readonly string[];
  /** The native replica stopped and Millrace went on, as the case says. */
  readonly wentOn: readonly string[];
}

export async function runCorpus(
  flavour: 'mysql' | 'mariadb',
  cases: readonly CorpusCase[],
  say: (line: string) => void = () => {},
): Promise<CorpusResult> {
  const differing: string[] = [];
  const stopped: string[] = [];
  const wentOn: string[] = [];
  for (const lowerCaseTableNames of [0, 1] as const) {
    const chosen = cases.filter((each) => each.lowerCaseTableNames === lowerCaseTableNames);
    if (chosen.length === 0) continue;
    let lab = await FilterLab.open(flavour, lowerCaseTableNames);
    try {
      for (const one of chosen) {
        const outcome = await lab.run(one).catch((error: unknown) => error as Error);
        if (outcome instanceof Error) {
          // Also a server that has ended: the next case gets new ones.
          await lab.abandon().catch(async () => {
            await lab.close();
            lab = await FilterLab.open(flavour, lowerCaseTableNames);
          });
        }
        const wrong = outcome instanceof Error ? outcome.message : verdict(one, outcome);
        say(`${wrong === null ? 'equal ' : 'DIFFER'}  ${one.group}: ${one.name}`);
        if (wrong !== null)
          differing.push(`${one.group}: ${one.name}\n    ${wrong.replaceAll('\n', '\n    ')}`);
        else if (outcome instanceof Error) continue;
        else if (outcome.millrace !== null) {
          stopped.push(`${one.name}: ${outcome.millrace.code}, ${outcome.millrace.message}`);
        } else if (outcome.native !== null) wentOn.push(`${one.name}: ${one.why}`);
      }
    } finally {
      await lab.close();
    }
  }
  return { cases: cases.length, differing, stopped, wentOn };
}

/** What is wrong; null: nothing. */
function verdict(one: CorpusCase, { native, millrace, differences, unexpected }: Outcome): string | null {
  const wrong: string[] = [];
  if (unexpected !== null) wrong.push(unexpected);
  if (one.stops === 'both' && millrace === null) wrong.push('Millrace did not stop');
  if (one.stops !== 'both' && millrace !== null) {
    wrong.push(
      `Millrace stopped: ${millrace.code ?? ''} ${millrace.message} ${millrace.hint ?? millrace.stack ?? ''}`,
    );
  }
  if (native === null || millrace !== null || one.stops === 'native') wrong.push(...differences);
  return wrong.length === 0 ? null : wrong.join('\n  ');
}
