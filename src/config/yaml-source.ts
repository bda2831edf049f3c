/**
 * The configuration file as YAML (1.2 core): a document whose every value knows its line and column.
 *
 * A scalar that is wholly `${NAME}` or `${env:NAME}` is replaced by the variable after parsing, so a value cannot
 * bring in YAML of its own. `$${…}` stands for a literal `${…}`. Aliases and tags are refused: nothing here needs
 * them, and aliases can blow a small file up to any size.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  visit,
} from 'yaml';
import type { ConfigPath, ConfigProblem } from './config.ts';
import type { PathProblem } from './cross-checks.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const WHOLE_VARIABLE = /^\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}$/;
const ANY_VARIABLE = /\$\{[A-Za-z_][^}]*\}/;

export class YamlSource {
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #variables = new Map<Scalar, { readonly name: string; readonly value: string }>();
  readonly problems: ConfigProblem[] = [];

  constructor(text: string) {
    this.#lines = new LineCounter();
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, strict: true });
    for (const error of this.#document.errors) {
      this.#add(error.pos[0], syntaxMessage(error.code));
    }
    for (const warning of this.#document.warnings) {
      const tagged = warning.pos[1] + text.slice(warning.pos[1]).search(/\S|$/);
      this.#add(warning.pos[0], 'YAML tags are not used here; if this is text, put it in quotes', tagged);
    }
    if (this.problems.length > 0) return;
    visit(this.#document, {
      Alias: (_key, node) => {
        this.#add(node.range?.[0] ?? 0, 'YAML aliases are not used here; if this is text, put it in quotes');
      },
    });
    if (this.problems.length === 0 && !isMap(this.#document.contents)) {
      this.#add(0, 'expected a map with the keys data_dir and channels');
    }
  }

  /** Replaces every variable; a missing one is a problem at its place. */
  interpolate(environment: Environment): void {
    visit(this.#document, {
      Scalar: (key, node) => {
        if (key !== 'key') this.#interpolateScalar(node, environment);
      },
    });
  }

  /** The same for the value at `path` alone. */
  interpolateAt(path: ConfigPath, environment: Environment): void {
    const node = this.#document.getIn(path, true);
    if (isScalar(node)) this.#interpolateScalar(node, environment);
  }

  #interpolateScalar(node: Scalar, environment: Environment): void {
    if (typeof node.value !== 'string' || !node.value.includes('${')) return;
    const name = WHOLE_VARIABLE.exec(node.value)?.[1];
    if (name === undefined) {
      const unescaped = node.value.replaceAll('$${', '');
      if (ANY_VARIABLE.test(unescaped)) {
        const remedy = `write \${NAME} alone as the value, or $\${ for a literal \${`;
        this.#add(node.range?.[0] ?? 0, `only a whole value can be a variable; ${remedy}`);
      } else {
        node.value = node.value.replaceAll('$${', '${');
      }
      return;
    }
    const value = environment[name];
    if (value === undefined) {
      this.#add(node.range?.[0] ?? 0, `the environment variable ${name} is not set; set it before the start`);
      return;
    }
    node.value = value;
    this.#variables.set(node, { name, value });
  }

  toJS(): unknown {
    return this.#document.toJS({ maxAliasCount: 0 });
  }

  /** Gives a problem its line: of the value, or of the innermost thing around it that is there. */
  locate(problem: PathProblem): ConfigProblem {
    const node = this.#nodeAt(problem.path);
    let message = problem.message;
    const variable = isScalar(node) ? this.#variables.get(node) : undefined;
    // What a variable holds may be a secret in the wrong place: it is named, not shown.
    if (variable !== undefined && variable.value !== '') {
      message = message.replaceAll(JSON.stringify(variable.value), '').replaceAll(variable.value, '');
      message = `the value of the variable ${variable.name}: ${message.replace(/^\s+/, '')}`;
    }
    return this.#problem(this.#offset(problem.path), pathText(problem.path), message, problem.code);
  }

  /** For an unknown key: the place of the key itself. */
  locateKey(parent: ConfigPath, key: string, message: string): ConfigProblem {
    const pair = this.#pair(parent, key);
    const offset = (pair?.key as Node | undefined)?.range?.[0] ?? this.#offset(parent);
    return this.#problem(offset, pathText([...parent, key]), message, 'CONFIG');
  }

  #nodeAt(path: ConfigPath): unknown {
    return path.length === 0 ? this.#document.contents : this.#document.getIn(path, true);
  }

  #pair(parent: ConfigPath, key: string | number | undefined) {
    const map = this.#nodeAt(parent);
    if (!isMap(map)) return undefined;
    return map.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
  }

  #offset(path: ConfigPath): number {
    for (let length = path.length; length > 0; length--) {
      const part = path.slice(0, length);
      const node = this.#nodeAt(part) as Node | undefined;
      const range = node?.range;
      if (range !== undefined && range !== null && range[1] > range[0]) return range[0];
      // An empty value has no place of its own: its key has.
      const key = this.#pair(part.slice(0, -1), part.at(-1))?.key as Node | undefined;
      if (key?.range) return key.range[0];
    }
    return this.#document.contents?.range?.[0] ?? 0;
  }

  /** `valueOffset`: where the value begins that the problem belongs to. */
  #add(offset: number, message: string, valueOffset = offset): void {
    this.problems.push(this.#problem(offset, this.#pathAt(valueOffset), message, 'CONFIG'));
  }

  /** The path of the key, scalar or alias that begins at `offset`; empty when there is none. */
  #pathAt(offset: number): string {
    let found = '';
    visit(this.#document, {
      Node: (_key, node, ancestors) => {
        if (!(isScalar(node) || isAlias(node)) || node.range?.[0] !== offset) return;
        const path: (string | number)[] = [];
        for (const [depth, ancestor] of ancestors.entries()) {
          if (typeof ancestor === 'object' && ancestor !== null && 'key' in ancestor) {
            path.push(String((ancestor as { key: unknown }).key));
          } else if (Array.isArray((ancestor as { items?: unknown }).items) && !isMap(ancestor)) {
            const child = ancestors[depth + 1] ?? node;
            path.push((ancestor as { items: unknown[] }).items.indexOf(child));
          }
        }
        found = pathText(path);
      },
    });
    return found;
  }

  #problem(offset: number, path: string, message: string, code: ConfigProblem['code']): ConfigProblem {
    const { line, col } = this.#lines.linePos(offset);
    return { code, line: Math.max(line, 1), column: Math.max(col, 1), path, message };
  }
}

export function pathText(path: ConfigPath): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${part}`))
    .join('');
}

/** The library's messages, except where they would repeat the file's text or assume knowledge of YAML. */
function syntaxMessage(code: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'the same key stands twice; keep one';
    case 'TAB_AS_INDENT':
      return 'indent with spaces, not with tabs';
    case 'MULTIPLE_DOCS':
      return 'the file holds several YAML documents; keep one';
    case 'TAG_RESOLVE_FAILED':
      return 'YAML tags are not used here; if this is text, put it in quotes';
    case 'BAD_ALIAS':
      return 'YAML aliases are not used here; if this is text, put it in quotes';
    default:
      // Never the parser's own text: it quotes what it stumbled over, and that may be a password.
      return 'not valid YAML here; text with special characters belongs in quotes';
  }
}
