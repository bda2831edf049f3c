// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is the notation of the files under test
/**
 * Configuration files for the tests: the smallest one, and one with places to add something wrong.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { problemLine } from '../../../src/config/config-file.ts';
import { readConfig } from '../../../src/config/load-config.ts';
import { temporaryFolder } from '../../support/repository.ts';

export const folder = temporaryFolder('config');
export const ENV = { SOURCE_PASSWORD: 's3cret-s', TARGET_PASSWORD: 's3cret-t', EMPTY: '', WORDS: 'hunter2' };

export function write(text: string, name = 'config.yaml'): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

export function problems(text: string): string[] {
  const result = readConfig(write(text), ENV);
  return result.ok ? [] : result.problems.map((problem) => problemLine('config.yaml', problem));
}

/** Of a configuration that is accepted. */
export function warnings(text: string): readonly string[] {
  const result = readConfig(write(text), ENV);
  if (!result.ok) throw new Error(result.problems.map((each) => problemLine('config.yaml', each)).join('\n'));
  return result.config.warnings.map((line) => line.replace(folder, '').replace(/^\//, ''));
}

/** The smallest file that works. */
export const EIGHT_LINES = `data_dir: ./data
channels:
  - name: shop
    source: { host: 127.0.0.1, port: 3306, user: repl, password: "\${SOURCE_PASSWORD}" }
    targets:
      - { name: standby, host: 127.0.0.1, port: 3307, user: apply, password: "\${TARGET_PASSWORD}" }
`;

/** Line 4 is the source, line 7 the relay log, line 9 on the target. */
export function config(
  wish: { source?: string; relay?: string; target?: string; top?: string; tail?: string } = {},
): string {
  return `data_dir: data
channels:
  - name: shop
    source: { host: src, port: 3306, user: repl, password: "x"${wish.source ? `, ${wish.source}` : ''} }
    # the relay log
    #
    relay_log: { ${wish.relay ?? ''} }
    targets:
      - name: standby
        host: dst
        user: apply
        password: "y"
${wish.target ? `        ${wish.target}\n` : ''}${wish.tail ?? ''}${wish.top ?? ''}`;
}
