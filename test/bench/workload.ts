/**
 * What a source has done before anything is measured: the tables and first rows (`base`, the state that every target begins
 * with) and the statements of each client session, which run side by side and fill the binary log.
 *
 *   small     2 updates, 1 delete, 1 insert in a transaction on 4 tables with a primary key and an index; 8 sessions
 *   bulk      statements of 1000 rows of about 200 bytes, inserted and then updated; 4 sessions
 *   blobs     one row of 1 MiB in a transaction; 4 sessions
 *   keyless   tables without a key, one with an index: updates of 7 rows, deletes of 1; 1 session
 *   big       one transaction of 1000-row statements
 *   shop      customers, products, orders, items, payments, an audit log: foreign keys, decimals, JSON, temporals; 8 sessions
 *
 * Everything is made by the server itself out of counted numbers, so that a load takes seconds and can be had again.
 */
import { oltpWorkload } from './oltp-workload.ts';
import { bigWorkload, blobsWorkload, bulkWorkload, keylessWorkload } from './rows-workload.ts';
import { shopWorkload } from './shop-workload.ts';

export const WORKLOAD_NAMES = ['small', 'bulk', 'blobs', 'keyless', 'big', 'shop'] as const;
export type WorkloadName = (typeof WORKLOAD_NAMES)[number];

/**
 * quick: to try the bench itself; standard: what is reported; slow: where every commit takes milliseconds; fast: where it takes next to
 * nothing, and the first second, in which a target reads its pages from the disk, would be a third of the run; receive: long
 * enough for receivers, which need no replica.
 */
export type Size = 'quick' | 'standard' | 'slow' | 'fast' | 'receive';

/** All tables are in it. */
export const BENCH_SCHEMA = 'bench';

export interface Workload {
  readonly name: WorkloadName;
  readonly title: string;
  readonly size: Size;
  readonly base: readonly string[];
  readonly clients: readonly (readonly string[])[];
}

/** Transactions, except: bulk counts statements of each kind, big thousands of rows. */
const AMOUNTS: Readonly<Record<WorkloadName, Readonly<Record<Size, number>>>> = {
  small: { quick: 800, standard: 16_000, slow: 3200, fast: 48_000, receive: 96_000 },
  bulk: { quick: 16, standard: 120, slow: 16, fast: 120, receive: 800 },
  blobs: { quick: 16, standard: 200, slow: 40, fast: 200, receive: 480 },
  keyless: { quick: 200, standard: 1200, slow: 200, fast: 1200, receive: 1200 },
  big: { quick: 20, standard: 200, slow: 20, fast: 200, receive: 200 },
  shop: { quick: 800, standard: 8000, slow: 1600, fast: 8000, receive: 8000 },
};

const MAKERS: Readonly<Record<WorkloadName, (amount: number) => Omit<Workload, 'name' | 'size'>>> = {
  small: oltpWorkload,
  bulk: bulkWorkload,
  blobs: blobsWorkload,
  keyless: keylessWorkload,
  big: bigWorkload,
  shop: shopWorkload,
};

export function workload(name: WorkloadName, size: Size, amount = AMOUNTS[name][size]): Workload {
  const { title, base, clients } = MAKERS[name](amount);
  return {
    name,
    title,
    size,
    base: [`CREATE DATABASE ${BENCH_SCHEMA}`, `USE ${BENCH_SCHEMA}`, ...base],
    clients: clients.map((statements) => [`USE ${BENCH_SCHEMA}`, ...statements]),
  };
}
