/**
 * A page of the documentation as a script: its fenced blocks, in order, under the headings that they stand below.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './repository.ts';

export interface PageBlock {
  /** Of the section (##) it stands in. */
  readonly heading: string;
  /** What stands behind the opening fence: sh, text, yaml … */
  readonly language: string;
  readonly text: string;
  /** Of its opening fence, counted from 1. */
  readonly line: number;
}

export function pageBlocks(page: string): PageBlock[] {
  const lines = readFileSync(join(repositoryRoot, 'docs', page), 'utf8').split('\n');
  const blocks: PageBlock[] = [];
  let heading = '';
  let open: { language: string; line: number; text: string[] } | null = null;
  for (const [index, line] of lines.entries()) {
    if (open !== null) {
      if (line === '```') {
        blocks.push({ heading, language: open.language, text: open.text.join('\n'), line: open.line });
        open = null;
      } else open.text.push(line);
    } else if (line.startsWith('```')) open = { language: line.slice(3), line: index + 1, text: [] };
    else if (line.startsWith('## ')) heading = line.slice(3);
  }
  if (open !== null) throw new Error(`${page}:${open.line}: a block is not closed`);
  return blocks;
}
