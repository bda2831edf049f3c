/**
 * The command line in this process: its exit code and what it prints, as to a pipe.
 */
import { runCommandLine } from '../../src/cli/main.ts';

export interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  /** Whoever reads the output has gone. */
  readonly closed?: () => boolean;
}

export async function printedBy(
  words: readonly string[],
  { env = {}, closed = () => false }: Surroundings = {},
): Promise<Printed> {
  let out = '';
  let err = '';
  const code = await runCommandLine(words, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    colour: false,
    interactive: false,
    window: () => null,
    env,
    closed,
  });
  return { code, out, err };
}
