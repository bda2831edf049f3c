/**
 * The character sets that a client's statement can be in, as far as reading names needs them: where a character ends, and
 * what a name is in Unicode.
 *
 *   multi-byte        first byte        further bytes
 *   gbk               81–FE             40–7E 80–FE
 *   gb18030           81–FE             40–7E 80–FE, or 30–39 81–FE 30–39
 *   sjis cp932        81–9F E0–FC       40–7E 80–FC                      (A1–DF: one byte)
 *   big5              A1–F9             40–7E A1–FE
 *   euckr             81–FE             41–5A 61–7A 81–FE
 *   gb2312            A1–F7             A1–FE
 *   ujis eucjpms      A1–FE A1–FE, 8E A1–DF, 8F A1–FE A1–FE
 *
 * So in the first five a further byte can be a backslash, a backtick or a letter. A first byte without its further bytes is a
 * character of its own to the servers' lexers (my_ismbchar says 0), and so it is here; such a name has no Unicode form.
 *
 * utf16, utf32 and ucs2 cannot be a client's. What a name is in Unicode must be what the server takes it for; where that is not
 * known `decode` says null, for the name must not be guessed. Known are the sets of one byte (eight-bit-charsets.ts), and of the
 * others what Node decodes and the servers decode alike; where they do not, CHARACTERS says what it is for the servers.
 */
import { EIGHT_BIT_CHARSETS } from './eight-bit-charsets.ts';

export interface ClientCharset {
  /** Bytes of the character at `at`; 1 where none of several bytes stands. */
  charLength(buf: Buffer, at: number, end: number): number;
  /** Whether a byte from 0x80 on outside of quotes belongs to a name; null: not known. */
  isNameByte(buf: Buffer, at: number, end: number): boolean | null;
  /** Null: it is not text of this character set, or one that is not known here. */
  decode(buf: Buffer, start: number, end: number): string | null;
  /** Null: it cannot be written in this character set. */
  encode(text: string): Buffer | null;
}

type CharLength = (buf: Buffer, at: number, end: number) => number;

interface MultiByte {
  /** For TextDecoder. */
  readonly label: string;
  readonly length: CharLength;
  /** First bytes from which on Node's table is another one. */
  readonly firstEnd?: number;
  /** Single bytes that are characters although they are not ASCII. */
  readonly single?: (byte: number) => boolean;
  /** Where the servers decode otherwise than Node: the bytes in hex, and the character; none: not known. */
  readonly characters?: string;
}

const within = (byte: number | undefined, low: number, high: number): boolean =>
  byte !== undefined && byte >= low && byte <= high;

const utf8Length: CharLength = (buf, at, end) => {
  const first = buf[at]!;
  const length = first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 1;
  if (at + length > end) return 1;
  for (let i = 1; i < length; i++) if (!within(buf[at + i], 0x80, 0xbf)) return 1;
  return length;
};

const twoBytes =
  (isFirst: (byte: number) => boolean, isSecond: (byte: number) => boolean): CharLength =>
  (buf, at, end) =>
    at + 1 < end && isFirst(buf[at]!) && isSecond(buf[at + 1]!) ? 2 : 1;

const gbkFirst = (byte: number): boolean => within(byte, 0x81, 0xfe);
const gbkSecond = (byte: number): boolean => within(byte, 0x40, 0x7e) || within(byte, 0x80, 0xfe);
const gbkLength = twoBytes(gbkFirst, gbkSecond);

const gb18030Length: CharLength = (buf, at, end) => {
  const four =
    at + 3 < end &&
    gbkFirst(buf[at]!) &&
    within(buf[at + 1], 0x30, 0x39) &&
    gbkFirst(buf[at + 2]!) &&
    within(buf[at + 3], 0x30, 0x39);
  return four ? 4 : gbkLength(buf, at, end);
};

const sjisLength = twoBytes(
  (byte) => within(byte, 0x81, 0x9f) || within(byte, 0xe0, 0xfc),
  (byte) => within(byte, 0x40, 0x7e) || within(byte, 0x80, 0xfc),
);

const big5Length = twoBytes(
  (byte) => within(byte, 0xa1, 0xf9),
  (byte) => within(byte, 0x40, 0x7e) || within(byte, 0xa1, 0xfe),
);

const euckrLength = twoBytes(
  (byte) => within(byte, 0x81, 0xfe),
  (byte) => within(byte, 0x41, 0x5a) || within(byte, 0x61, 0x7a) || within(byte, 0x81, 0xfe),
);

const gb2312Length = twoBytes(
  (byte) => within(byte, 0xa1, 0xf7),
  (byte) => within(byte, 0xa1, 0xfe),
);

const ujisLength: CharLength = (buf, at, end) => {
  const first = buf[at]!;
  const second = at + 1 < end ? buf[at + 1] : undefined;
  if (first === 0x8e) return within(second, 0xa1, 0xdf) ? 2 : 1;
  if (first === 0x8f) {
    return within(second, 0xa1, 0xfe) && at + 2 < end && within(buf[at + 2], 0xa1, 0xfe) ? 3 : 1;
  }
  return within(first, 0xa1, 0xfe) && within(second, 0xa1, 0xfe) ? 2 : 1;
};

const halfWidthKana = (byte: number): boolean => within(byte, 0xa1, 0xdf);
const SJIS = { label: 'shift_jis', length: sjisLength, single: halfWidthKana };
const EUC_JP = { label: 'euc-jp', length: ujisLength, firstEnd: 0xf9 };

const MULTI_BYTE: Readonly<Record<string, MultiByte>> = {
  gbk: { label: 'gbk', length: gbkLength },
  gb18030: {
    label: 'gb18030',
    length: gb18030Length,
    characters:
      'a3a0 a6d9 a6da a6db a6dc a6dd a6de a6df a6ec a6ed a6f3 fe59 fe61 fe66 fe67 fe6d fe7e fe90 fea0',
  },
  gb2312: { label: 'gbk', length: gb2312Length, characters: 'a1a4・ a1aa―' },
  big5: {
    label: 'big5',
    length: big5Length,
    characters:
      'a145• a14e､ a15a a1c2‾ a1c3 a1c5 a1e3∼ a1f2♁ a1f3☉ a1fe a240 a241／ a242＼ a244¥ a246¢ a247£ a2cc a2ce',
  },
  euckr: { label: 'euc-kr', length: euckrLength },
  ujis: { ...EUC_JP, characters: '8fa2b7~ a1c0\\ a1c1〜 a1c2‖ a1dd− a1f1¢ a1f2£ a2cc¬' },
  eucjpms: { ...EUC_JP, characters: '8fa2c3￤' },
  sjis: { ...SJIS, characters: '815f\\ 8160〜 8161‖ 817c− 8191¢ 8192£ 81ca¬' },
  cp932: SJIS,
};

const LETTER = /^\p{L}$/u;
/** Node has characters for bytes that have none, among the control characters and those for private use. */
function isCharacter(text: string): boolean {
  const code = text.codePointAt(0)!;
  const whole = [...text].length === 1;
  return whole && code > 0x9f && !within(code, 0xe000, 0xf8ff) && code !== 0xfffd;
}

function isAscii(buf: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (buf[i]! >= 0x80) return false;
  return true;
}

class Utf8 implements ClientCharset {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** False: lexed byte by byte, while names are UTF-8 all the same (`binary`). */
  readonly #whole: boolean;

  constructor(whole: boolean) {
    this.#whole = whole;
  }

  charLength(buf: Buffer, at: number, end: number): number {
    return this.#whole ? utf8Length(buf, at, end) : 1;
  }

  isNameByte(buf: Buffer, at: number, end: number): boolean | null {
    return this.#whole && utf8Length(buf, at, end) > 1 ? true : null;
  }

  decode(buf: Buffer, start: number, end: number): string | null {
    if (isAscii(buf, start, end)) return buf.toString('latin1', start, end);
    try {
      return this.#decoder.decode(buf.subarray(start, end));
    } catch {
      return null;
    }
  }

  encode(text: string): Buffer | null {
    return Buffer.from(text, 'utf8');
  }
}

class EightBit implements ClientCharset {
  /** Of bytes 80 to FF. */
  readonly #characters: string;
  /** Characters of ASCII in whose places others stand. */
  readonly #replaced: string;

  constructor(characters: string, replaced = '') {
    this.#characters = characters;
    this.#replaced = replaced;
  }

  charLength(): number {
    return 1;
  }

  isNameByte(buf: Buffer, at: number): boolean | null {
    const char = this.#characterOf(buf[at]!);
    return char !== null && LETTER.test(char) ? true : null;
  }

  decode(buf: Buffer, start: number, end: number): string | null {
    let text = '';
    for (let i = start; i < end; i++) {
      const char = this.#characterOf(buf[i]!);
      if (char === null) return null;
      text += char;
    }
    return text;
  }

  encode(text: string): Buffer | null {
    const bytes: number[] = [];
    for (const char of text) {
      if (this.#replaced.includes(char)) return null;
      const byte = char < '\u0080' ? char.charCodeAt(0) : 0x80 + this.#characters.indexOf(char);
      if (byte < 0x80 && char >= '\u0080') return null;
      bytes.push(byte);
    }
    return Buffer.from(bytes);
  }

  #characterOf(byte: number): string | null {
    if (byte < 0x80) {
      const ascii = String.fromCharCode(byte);
      return this.#replaced.includes(ascii) ? null : ascii;
    }
    const char = this.#characters[byte - 0x80];
    return char === undefined || char === '\ufffd' ? null : char;
  }
}

class MultiByteCharset implements ClientCharset {
  readonly #described: MultiByte;
  readonly #decoder: InstanceType<typeof TextDecoder>;
  readonly #characters: ReadonlyMap<string, string>;
  #bytes: ReadonlyMap<string, Buffer> | null = null;

  constructor(described: MultiByte) {
    this.#described = described;
    this.#decoder = new TextDecoder(described.label, { fatal: true, ignoreBOM: true });
    const pairs = described.characters?.split(' ') ?? [];
    this.#characters = new Map(
      pairs.map((pair) => {
        const hex = /^[0-9a-f]+/.exec(pair)?.[0] ?? '';
        return [hex, pair.slice(hex.length)];
      }),
    );
  }

  charLength(buf: Buffer, at: number, end: number): number {
    return buf[at]! < 0x80 ? 1 : this.#described.length(buf, at, end);
  }

  isNameByte(buf: Buffer, at: number, end: number): boolean | null {
    return this.charLength(buf, at, end) > 1 ? true : null;
  }

  decode(buf: Buffer, start: number, end: number): string | null {
    if (isAscii(buf, start, end)) return buf.toString('latin1', start, end);
    let text = '';
    let at = start;
    while (at < end) {
      const length = this.charLength(buf, at, end);
      const char = this.#character(buf, at, length);
      if (char === null) return null;
      text += char;
      at += length;
    }
    return text;
  }

  encode(text: string): Buffer | null {
    const parts: Buffer[] = [];
    for (const char of text) {
      if (char < '\u0080') parts.push(Buffer.from(char));
      else {
        this.#bytes ??= this.#allCharacters();
        const bytes = this.#bytes.get(char);
        if (bytes === undefined) return null;
        parts.push(bytes);
      }
    }
    return Buffer.concat(parts);
  }

  #character(buf: Buffer, at: number, length: number): string | null {
    const byte = buf[at]!;
    if (byte < 0x80) return String.fromCharCode(byte);
    const { firstEnd = 0x100, single } = this.#described;
    if (byte >= firstEnd || (length === 1 && !single?.(byte))) return null;
    const other = this.#characters.get(buf.toString('hex', at, at + length));
    if (other !== undefined) return other === '' ? null : other;
    try {
      const char = this.#decoder.decode(buf.subarray(at, at + length));
      return isCharacter(char) ? char : null;
    } catch {
      return null;
    }
  }

  /** What encodes each character of up to three bytes: made once, when a name is first written in this character set. */
  #allCharacters(): ReadonlyMap<string, Buffer> {
    const all = new Map<string, Buffer>();
    const add = (...bytes: number[]): void => {
      const buf = Buffer.from(bytes);
      if (this.charLength(buf, 0, buf.length) !== buf.length) return;
      const char = this.#character(buf, 0, buf.length);
      if (char !== null && !all.has(char)) all.set(char, buf);
    };
    for (let first = 0x80; first <= 0xff; first++) {
      add(first);
      for (let second = 0x40; second <= 0xff; second++) {
        add(first, second);
        if (first === 0x8f) for (let third = 0xa1; third <= 0xfe; third++) add(first, second, third);
      }
    }
    return all;
  }
}

/** Names are read when they are ASCII. */
const UNKNOWN = new EightBit('');

const KNOWN: Readonly<Record<string, () => ClientCharset>> = {
  utf8: () => new Utf8(true),
  utf8mb3: () => new Utf8(true),
  utf8mb4: () => new Utf8(true),
  binary: () => new Utf8(false),
  swe7: () => new EightBit('', '@[\\]^`{|}~'),
  ...Object.fromEntries(
    Object.entries(EIGHT_BIT_CHARSETS).map(([name, characters]) => [name, () => new EightBit(characters)]),
  ),
  ...Object.fromEntries(
    Object.entries(MULTI_BYTE).map(([name, described]) => [name, () => new MultiByteCharset(described)]),
  ),
};

const made = new Map<string, ClientCharset>();

/** `name` as the server has it: 'utf8mb4', 'gbk'. */
export function clientCharset(name: string): ClientCharset {
  const before = made.get(name);
  if (before !== undefined) return before;
  const make = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
  if (make === undefined) return UNKNOWN;
  const charset = make();
  made.set(name, charset);
  return charset;
}
