/**
 * What each error code means, what Millrace does about it, and what its operator does: docs/errors.md is made of this
 * (`npm run docs:errors`), and a test holds the page to it. A code without an entry does not compile.
 *
 * Plain sentences in Markdown; `todo` is a list, in the order in which one would try.
 */
import type { ErrorCode } from './errors.ts';

export interface ErrorEntry {
  readonly means: string;
  readonly does: string;
  readonly todo: readonly string[];
}

const NOTHING_KEPT =
  'Stops before the transaction is committed: nothing of it is kept on the target, nothing is skipped.';

export const ERROR_CATALOGUE: Readonly<Record<ErrorCode, ErrorEntry>> = {
  MALFORMED_EVENT: {
    means:
      'Bytes from a socket or a file do not have the form that their type demands: damaged, or written by a version that is not known.',
    does: `On the wire the connection is closed and the unfinished transaction taken back. In the applier: ${NOTHING_KEPT.toLowerCase()}`,
    todo: [
      'Look at the event with `millrace events --from GTID` and with `mysqlbinlog` on the source: does it read it?',
      'When the source is newer than what the README lists, go back to a version that is listed, and report it.',
    ],
  },
  MALFORMED_POSITION: {
    means: 'A text that should be a GTID, a GTID set or a file and position cannot be read as one.',
    does: 'Stops where it was read.',
    todo: [
      'Correct the text that the message quotes: `source.start` in the configuration, the option of a command, or a row that was edited in `millrace.progress`.',
    ],
  },
  CHECKSUM_MISMATCH: {
    means: "An event's CRC32 does not match its bytes.",
    does: 'On the wire: takes the unfinished transaction back, connects again, and stops with `SOURCE_DAMAGED` after a few times at the same place. On disk: the relay log is fetched again.',
    todo: [
      'When it comes back: look at the network, at the memory and the disks of the source and of this machine.',
    ],
  },
  UNKNOWN_EVENT: {
    means: 'An event that Millrace does not know stands inside a transaction and is not marked as ignorable.',
    does: 'Stops before the transaction. It is never passed over.',
    todo: [
      'The message names type, file and offset. Report them with the version of the source.',
      'Until then: apply the transaction by hand and go on behind it, or go back to the setting of the source that makes such events.',
    ],
  },
  UNEXPECTED_EVENT: {
    means: 'Events come in an order that no transaction has.',
    does: 'Stops before the transaction.',
    todo: ['Read the place with `mysqlbinlog` on the source. When it is sound there, report it.'],
  },
  UNSUPPORTED: {
    means:
      'The event is known, and applying it cannot be exact (temporary tables and LOAD DATA in statement format, for instance).',
    does: NOTHING_KEPT,
    todo: [
      'The message says what to do instead.',
      'Usually: `binlog_format = ROW` in every session of the source; apply the one transaction by hand.',
    ],
  },
  SOURCE_INCIDENT: {
    means: 'The source has written an incident into its binary log: something is missing there.',
    does: 'Stops. What is missing cannot be fetched.',
    todo: [
      "Read the source's error log for the time of the event, then make the target anew from the source.",
    ],
  },
  CONNECTION_LOST: {
    means: 'No TCP connection, a connection that broke, or no answer in time.',
    does: 'Tries again for ever, with growing pauses of up to 30 seconds. A transaction that was cut off is taken back, and fetched or applied again whole.',
    todo: [
      'Usually nothing. When it stays: is the server running, is it this port, does a firewall sit in between?',
      '`millrace check` tells what it sees from this machine.',
    ],
  },
  PROTOCOL: {
    means: 'The other side speaks another protocol than MySQL, or gave an answer that was not expected.',
    does: 'Tries again with growing pauses; stops where the answer was a refusal of a statement.',
    todo: ['Is it a MySQL or MariaDB server that the address leads to? The message holds its words.'],
  },
  ACCESS_DENIED: {
    means:
      'User name or password was refused, or the account is locked, expired, or not made for the address that this machine comes from.',
    does: 'Stops at once at the start; later after a second try. It does not hammer: servers lock accounts for that.',
    todo: [
      'Compare user and password with the configuration (a `password_file` may end in spaces).',
      'On the server: `SELECT user, host, account_locked FROM mysql.user`. The account is `user@host`, and both must match.',
    ],
  },
  PRIVILEGE_MISSING: {
    means: 'The account came in and lacks a privilege.',
    does: NOTHING_KEPT,
    todo: [
      'Run the GRANT of the message (`millrace check` prints all of them at once), then start again.',
      '[privileges.md](privileges.md) lists what is needed for what.',
    ],
  },
  TLS: {
    means: 'TLS was asked for and cannot be had, or the certificate does not verify.',
    does: 'Stops. It never falls back to less than `tls` says.',
    todo: [
      '`verify_ca` and `verify_identity` need `ca` with the certificate of whoever signed that of the server.',
      '`verify_identity` also needs the name of `host` in the certificate.',
      'A certificate that has ended must be made anew: `ALTER INSTANCE RELOAD TLS` takes it without a restart.',
    ],
  },
  SOURCE_PURGED: {
    means: 'The source no longer has binary logs that the target needs.',
    does: 'Stops before anything is read. It never jumps ahead.',
    todo: [
      'Read from another server that still has them: the message names the transactions.',
      'Else load the target from a new copy of the source, and start again.',
      'When the target does have their data, say so in `source.start`.',
      'Then give the source a longer `binlog_expire_logs_seconds`.',
    ],
  },
  SOURCE_BEHIND: {
    means:
      'The target or the relay log holds transactions of the source that the source does not have itself.',
    does: 'Stops: whoever goes on from here mixes two histories.',
    todo: [
      'The source has lost its tail (a crash with `sync_binlog` other than 1), was restored from a backup, or its binary logs were reset (`RESET BINARY LOGS AND GTIDS`, `RESET MASTER`), which hands out the same numbers again.',
      'Compare the two servers. Make the target anew from the source, or the source from the target.',
      'Only when the source was rebuilt under its old `server_id` and its new log holds what we have: remove the relay log directory of the channel and start again.',
    ],
  },
  SOURCE_POSITION: {
    means: 'The position to read from does not exist on the source.',
    does: 'Stops.',
    todo: [
      'The file was replaced, or has lost its end. Compare file and position with `SHOW BINARY LOGS`.',
      'Set `source.start` to a position that is there and that the target has everything before.',
    ],
  },
  SOURCE_CONFIG: {
    means:
      "The source's configuration cannot be replicated from: `log_bin`, `binlog_format`, `gtid_mode`, `server_id`, `server_uuid`.",
    does: 'Stops before anything is read.',
    todo: [
      'Run the statement of the message on the source, and set it in its option file, then start again.',
    ],
  },
  DUPLICATE_IDENTITY: {
    means:
      'Another replica uses our `server_id` or `server_uuid`: the source throws one out when the other comes.',
    does: 'Connects again a few times, then stops, so that two do not throw each other out for ever.',
    todo: [
      'Is the same Millrace running twice, or was a data_dir copied? Stop one, and remove `data_dir/identity` of the copy.',
      'Else set `source.server_id` to a number of its own, or leave it out.',
    ],
  },
  SOURCE_DAMAGED: {
    means: "The source's binary log is damaged where it is read.",
    does: 'Tries a few times, then stops.',
    todo: [
      "Look at the source's error log and its disk; `mysqlbinlog --verify-binlog-checksum` finds the place.",
      'Read from another server that has the same transactions.',
    ],
  },
  TARGET_CONFIG: {
    means:
      "The target's configuration cannot be applied to: `gtid_mode`, `max_allowed_packet`, what its progress says.",
    does: 'Stops before anything is applied, or before the transaction that needs it.',
    todo: ['Do what the message says, on the target or in the configuration, then start again.'],
  },
  TARGET_READ_ONLY: {
    means: 'The target is read-only.',
    does: 'Waits and tries again. It never makes a target writable by itself: that may be a demoted node.',
    todo: [
      'Point Millrace at the writable node; or make it writable: `SET GLOBAL super_read_only = OFF`.',
      'An account with `CONNECTION_ADMIN` (MariaDB: `READ_ONLY ADMIN`) may write while `read_only` is ON for everybody else.',
    ],
  },
  TARGET_WENT_BACK: {
    means:
      'The target lost transactions that it had (restored, or failed over to a node behind), and the relay log does not hold them any more.',
    does: 'Throws the relay log away and fetches it again from where the target stands.',
    todo: ['Nothing, while the source still has them. When it does not, see `SOURCE_PURGED`.'],
  },
  FENCED: {
    means: 'Another Millrace applies this channel to this target, or took it over.',
    does: 'A second one waits and takes over when the first is gone. One that was taken over from cannot commit any more, and stops.',
    todo: [
      'Run one Millrace for each channel and target.',
      'When the other is gone and its connection is not, end that on the target with `KILL`.',
    ],
  },
  APPLY_FAILED: {
    means: 'A statement or a row could not be applied: source and target differ.',
    does: `${NOTHING_KEPT} It is tried once more alone before this is believed.`,
    todo: [
      'The message names table, transaction, relay file and offset; `millrace events --from GTID` shows the events.',
      'Who else writes to the target? Make the row equal to the source by hand, then start again.',
    ],
  },
  APPLY_TRANSIENT: {
    means: 'A deadlock, a lock wait time-out, a full disk of the target and the like.',
    does: 'Rolls the whole transaction back and tries it again.',
    todo: ['Usually nothing. When it stays: what else locks these rows, and is the disk of the target full?'],
  },
  DDL_UNDECIDED: {
    means:
      'A statement that commits by itself was cut off, and the schema does not tell whether it ran (`progress: table`).',
    does: 'Stops before the next transaction.',
    todo: [
      'Look on the target whether the statement of the message has run.',
      "Say so: `UPDATE millrace.intent SET verdict = 'done'` (it ran) or `'run'` (it did not), then start again.",
    ],
  },
  RELAY_CORRUPT: {
    means: 'A relay log file does not hold what it must.',
    does: 'Throws the relay log away and fetches it again from where the targets stand. An unfinished end is no damage: it is cut off.',
    todo: ['Look at the disk of this machine when it happens more than once.'],
  },
  DISK_FULL: {
    means: 'No space is left for the relay log.',
    does: 'Stops receiving, waits, and goes on by itself. The appliers go on, and free what they have applied when `relay_log.retention` is over.',
    todo: [
      'Free space, give data_dir a larger disk, or shorten `relay_log.retention`. `millrace check` computes what is needed.',
    ],
  },
  DISK: {
    means: 'A file operation failed.',
    does: 'Stops. After a failed fsync what was written last may be lost, and reading it back proves nothing.',
    todo: [
      'Look at the permissions of data_dir, and at the disk.',
      'After a failed fsync: mend the disk, remove the relay log folder of the channel, start again. It is fetched from where the targets stand.',
    ],
  },
  CONFIG: {
    means: 'The configuration file, or how the program was called, is wrong.',
    does: 'Ends with code 2 and changes nothing.',
    todo: [
      'The message has line, column and path. `millrace check --offline` lists everything that is wrong at once.',
    ],
  },
  NOT_IN_THIS_VERSION: {
    means: 'What the configuration asks for is known and not in this version.',
    does: 'Refuses it in whole: nothing is done by halves.',
    todo: ['Remove the key, or do as the message says.'],
  },
  ALREADY_RUNNING: {
    means: 'Another Millrace runs on this data_dir.',
    does: 'Ends with code 1; the other one is not touched.',
    todo: ['`millrace stop` ends the other one. To run two, give each a data_dir of its own.'],
  },
  NOT_RUNNING: {
    means: 'No Millrace runs on this data_dir.',
    does: 'Ends with code 1.',
    todo: ['Is it the right configuration file? `millrace start` starts it.'],
  },
  FILTER_BORDER: {
    means:
      "A statement concerns objects on both sides of a target's rules: some are replicated, some are left out. It cannot run by halves.",
    does: NOTHING_KEPT,
    todo: [
      'Widen or narrow the rules so that all of its objects are on one side, `millrace reload`, and `millrace resume TARGET`.',
      'Or do its part on the target by hand, and pass the transaction over: `millrace skip GTID --reason "…"`.',
    ],
  },
  STATEMENT_UNREAD: {
    means: "A target's rules have to judge a statement that cannot be read.",
    does: NOTHING_KEPT,
    todo: [
      'Look at it with `millrace events --from GTID --limit 5` and decide: `on_unparsed_ddl: apply` or `skip` for this target, then `millrace reload`.',
      'Or pass this one over: `millrace skip GTID --reason "…"`. Please report the statement: it should be readable.',
    ],
  },
  HTTP_LISTEN: {
    means: 'The address of `http.listen` cannot be listened on.',
    does: 'Ends `start` before any channel is started.',
    todo: ['Choose another port or address, or end the process that has it (`ss -ltnp` names it).'],
  },
  NOT_POSSIBLE: {
    means: 'What an operator asks for comes too late, or names nothing that is there.',
    does: 'Refuses the request; nothing is changed.',
    todo: ['`millrace status` tells how things stand; the message says what would be possible.'],
  },
  INTERNAL: {
    means: 'A fault in Millrace itself.',
    does: 'Starts the thread again with growing pauses, a few times, then leaves it stopped.',
    todo: ['Please report it with the text of the message and the log around it.'],
  },
};
