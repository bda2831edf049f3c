/**
 * Who this Millrace is to its sources: data_dir/identity, made once, never changed.
 *
 *   server_uuid=8a94f357-aab4-11df-86ab-c80aa9429562
 *
 * A source ends the dump of a replica when another one comes with the same server_uuid, so every channel has its own,
 * derived from the identity and the channel's name: stable, and different also when two channels read one source.
 */
import { createHash, randomUUID } from 'node:crypto';
import { closeSync, openSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../base/errors.ts';
import { diskError, FILE_MODE, syncDirectory, syncFile, writeFully } from '../relay/durable-file.ts';

const FILE_NAME = 'identity';
const LINE = /^server_uuid=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*$/;

/** The server_uuid of `dataDir`, made at the first call. The caller holds the run lock. Throws DISK, DISK_FULL. */
export function loadIdentity(dataDir: string): string {
  return readIdentity(dataDir) ?? createIdentity(dataDir, join(dataDir, FILE_NAME));
}

/** Null: `dataDir` has none yet. Throws DISK. */
export function readIdentity(dataDir: string): string | null {
  const path = join(dataDir, FILE_NAME);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw diskError('read', path, cause);
  }
  const uuid = LINE.exec(text)?.[1];
  if (uuid === undefined) {
    throw new MillraceError('DISK', `${path} is damaged: it does not hold server_uuid=…`, {
      hint: 'Restore the file, or remove it: Millrace is then a new replica to its sources, and loses nothing.',
    });
  }
  return uuid;
}

function createIdentity(dataDir: string, path: string): string {
  const uuid = randomUUID();
  const temporary = `${path}.tmp`;
  const text = Buffer.from(`server_uuid=${uuid}\n`, 'latin1');
  try {
    const fd = openSync(temporary, 'w', FILE_MODE);
    try {
      writeFully(fd, temporary, text, 0, text.length, 0);
      syncFile(fd, temporary);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (cause) {
    throw diskError('write', path, cause);
  }
  syncDirectory(dataDir);
  return uuid;
}

/** A name-based UUID (version 5) of the channel within the identity. */
export function channelUuid(identity: string, channel: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(identity.replaceAll('-', ''), 'hex'))
    .update(channel, 'utf8')
    .digest()
    .subarray(0, 16);
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
