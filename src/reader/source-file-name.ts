/**
 * The names that a source gives its binary log files. They are shown and sent back, and written into relay files, but never
 * become a path of ours; what does not look like a file name is refused all the same.
 */
import { malformed } from '../binlog/byte-decoder.ts';

const NAME_LENGTH_MAX = 255;

/** @throws MALFORMED_EVENT. */
export function checkFileName(name: string): void {
  if (name === '' || Buffer.byteLength(name) > NAME_LENGTH_MAX) {
    throw malformed('ROTATE_EVENT', `a file name of ${Buffer.byteLength(name)} bytes`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (name === '.' || name === '..' || /[\u0000-\u001f\u007f/\\]/.test(name)) {
    throw malformed('ROTATE_EVENT', `${JSON.stringify(name)} is no file name`);
  }
}
