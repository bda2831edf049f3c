/**
 * A contender that this version of Millrace, or this machine, cannot be asked for: told in the table, and no failure.
 */
export class RefusedError extends Error {}
