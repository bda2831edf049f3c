/**
 * What a reading claims, carried out on a snapshot, and compared with what the server really did. Exact: an object that
 * changed and was not claimed is wrong, and so is one that was claimed and did not change.
 */
import type { NamedObject, StatementReading } from '../../src/rules/statement-reading.ts';
import type { SeenObject, Snapshot } from './schema-snapshot.ts';

type Read = Extract<StatementReading, { is: 'read' }>;

interface Claimed {
  readonly seen: SeenObject;
  /** `other`: it must look otherwise than `seen`; `any`: it was made anew. */
  readonly look: 'same' | 'other' | 'any';
}

const KEY_KIND: Readonly<Record<NamedObject['kind'], string | null>> = {
  table: 'relation',
  view: 'relation',
  sequence: 'relation',
  trigger: 'trigger',
  routine: 'routine',
  event: 'event',
  database: 'database',
  other: null,
};
const NEW: SeenObject = { description: '', table: null, uses: [] };

export function objectKey(object: NamedObject, defaultDatabase: string): string | null {
  const kind = KEY_KIND[object.kind];
  if (kind === null) return null;
  const database = object.database ?? defaultDatabase;
  return object.kind === 'database' ? `${kind} ${database}` : `${kind} ${database}.${object.name}`;
}

export class ClaimedEffect {
  readonly #claims = new Map<string, Claimed>();
  readonly wrong: string[] = [];

  constructor(before: Snapshot) {
    for (const [key, seen] of before) this.#claims.set(key, { seen, look: 'same' });
  }

  /** Readings of statements that ran one after the other. */
  apply(reading: Read, defaultDatabase: string): void {
    const { objects } = reading;
    objects.forEach((object, i) => {
      const key = objectKey(object, defaultDatabase);
      if (key === null || reading.temporary) return;
      const next = objects[i + 1];
      const to =
        object.role === 'renames-from' ? objects.slice(i).find(({ role }) => role === 'renames-to') : next;
      this.#applyObject(reading, object, key, to === undefined ? null : objectKey(to, defaultDatabase));
    });
  }

  #applyObject(reading: Read, object: NamedObject, key: string, next: string | null): void {
    const claims = this.#claims;
    const there = claims.get(key);
    switch (object.role) {
      case 'creates':
        if (there === undefined) claims.set(key, { seen: NEW, look: 'any' });
        else if (!reading.ifExists) claims.set(key, { seen: there.seen, look: 'any' });
        if (object.kind === 'database' && !reading.ifExists) this.#dropWithin(object.database ?? '');
        break;
      case 'drops':
        if (there === undefined && !reading.ifExists) this.wrong.push(`${key} is dropped and was not there`);
        claims.delete(key);
        if (object.kind === 'database') this.#dropWithin(object.database ?? '');
        for (const [other, { seen }] of claims) if (seen.table === key) claims.delete(other);
        break;
      case 'renames-from': {
        if (there === undefined || next === null) {
          if (!reading.ifExists) this.wrong.push(`${key} is renamed and was not there`);
          break;
        }
        claims.delete(key);
        const look = reading.kind === 'rename_table' ? there.look : 'any';
        claims.set(next, { seen: there.seen, look });
        for (const [other, claim] of claims) {
          if (claim.seen.table !== key) continue;
          claims.set(other, { ...claim, seen: { ...claim.seen, table: next } });
        }
        break;
      }
      case 'renames-to':
        break;
      case 'alters':
      case 'changes-rows':
        if (reading.kind === 'create_trigger') break;
        if (there !== undefined) claims.set(key, { ...there, look: there.look === 'any' ? 'any' : 'other' });
        else if (!reading.ifExists) this.wrong.push(`${key} is changed and was not there`);
        break;
      case 'reads':
        if (there === undefined) this.wrong.push(`${key} is read and was not there`);
        break;
      default:
        if (there === undefined && object.role !== 'grants') {
          this.wrong.push(`${key} is ${object.role} and was not there`);
        }
    }
  }

  #dropWithin(database: string): void {
    for (const key of this.#claims.keys()) {
      const name = key.slice(key.indexOf(' ') + 1);
      if (name.startsWith(`${database}.`)) this.#claims.delete(key);
    }
  }

  /** Sentences; empty: all that was claimed has come true, and nothing else. `quiet`: changes need not be seen. */
  compare(after: Snapshot, { quiet, follows }: { quiet: boolean; follows: readonly string[] }): string[] {
    const wrong = [...this.wrong];
    for (const key of after.keys())
      if (!this.#claims.has(key)) wrong.push(`${key} is new and was not claimed`);
    for (const [key, { seen, look }] of this.#claims) {
      const now = after.get(key);
      if (now === undefined) wrong.push(`${key} is gone and was not claimed`);
      else if (look === 'same' && now.description !== seen.description && !follows.includes(key)) {
        wrong.push(`${key} changed and was not claimed:\n${seen.description}\n${now.description}`);
      } else if (look === 'same' && now.table !== seen.table) {
        wrong.push(`${key} belongs to ${now.table}, ${seen.table} was claimed`);
      } else if (look === 'other' && now.description === seen.description && !quiet) {
        wrong.push(`${key} was claimed to change and did not`);
      }
    }
    return wrong;
  }
}

/** What a view reads, a foreign key refers to, and a trigger belongs to must have been named. */
export function unnamedUses(
  reading: Read,
  before: Snapshot,
  after: Snapshot,
  defaultDatabase: string,
): string[] {
  const keysOf = (wanted: (object: NamedObject) => boolean): Set<string | null> =>
    new Set(reading.objects.filter(wanted).map((object) => objectKey(object, defaultDatabase)));
  const named = keysOf(() => true);
  const read = keysOf(({ role, kind }) => role === 'reads' && kind !== 'routine');
  const wrong: string[] = [];
  for (const [key, { uses, table, description }] of after) {
    const old = before.get(key);
    if (old !== undefined && old.description === description) continue;
    if (table !== null && !named.has(table)) wrong.push(`${key} belongs to ${table}, which was not named`);
    const missing = uses.filter((use) => !named.has(use) && !old?.uses.includes(use) && use !== key);
    for (const use of missing) wrong.push(`${key} uses ${use}, which was not named`);
    if (reading.kind !== 'create_view' || uses.length === 0) continue;
    for (const use of read) if (use !== null && !uses.includes(use)) wrong.push(`${key} does not use ${use}`);
  }
  return wrong;
}
