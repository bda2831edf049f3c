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
 * utf16, utf32 and ucs2 cannot be a client's. Node decodes what the WHATWG knows; in the other sets only ASCII names can be
 * read, which is why `decode` may say null: that name is not known, and must not be guessed.
 */

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

interface Described {
  /** For TextDecoder; null: only ASCII can be read. */
  readonly label: string | null;
  readonly multiByte: CharLength | null;
  /** Single bytes that are characters although they are not ASCII. */
  readonly single?: (byte: number) => boolean;
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
const high = (byte: number): boolean => byte >= 0x80;
/** The WHATWG's table is another one's where ISO has control characters. */
const noControl = (byte: number): boolean => byte >= 0xa0;

const eightBit = (label: string | null, single = high): Described => ({ label, multiByte: null, single });
const multi = (label: string, multiByte: CharLength): Described => ({ label, multiByte });

const UTF8: Described = { label: 'utf-8', multiByte: utf8Length };

const CHARSETS: Readonly<Record<string, Described>> = {
  utf8: UTF8,
  utf8mb3: UTF8,
  utf8mb4: UTF8,
  ascii: { label: null, multiByte: null },
  latin1: eightBit('windows-1252'),
  latin2: eightBit('iso-8859-2', noControl),
  latin5: eightBit('iso-8859-9', noControl),
  latin7: eightBit('iso-8859-13', noControl),
  greek: eightBit('iso-8859-7', noControl),
  hebrew: eightBit('iso-8859-8', noControl),
  tis620: eightBit('windows-874', noControl),
  cp1250: eightBit('windows-1250'),
  cp1251: eightBit('windows-1251'),
  cp1256: eightBit('windows-1256'),
  cp1257: eightBit('windows-1257'),
  koi8r: eightBit('koi8-r'),
  koi8u: eightBit('koi8-u'),
  cp866: eightBit('ibm866'),
  macroman: eightBit('macintosh'),
  gbk: multi('gbk', gbkLength),
  gb18030: multi('gb18030', gb18030Length),
  gb2312: multi('gbk', gb2312Length),
  big5: multi('big5', big5Length),
  euckr: multi('euc-kr', euckrLength),
  ujis: multi('euc-jp', ujisLength),
  eucjpms: multi('euc-jp', ujisLength),
  sjis: { label: 'shift_jis', multiByte: sjisLength, single: halfWidthKana },
  cp932: { label: 'shift_jis', multiByte: sjisLength, single: halfWidthKana },
};

/** Lexed byte by byte, while names are kept as they are: UTF-8. */
const BINARY: Described = { label: 'utf-8', multiByte: null };
const UNKNOWN: Described = { label: null, multiByte: null };
const LETTER = /^\p{L}$/u;

class KnownCharset implements ClientCharset {
  readonly #described: Described;
  readonly #decoder: InstanceType<typeof TextDecoder> | null;

  constructor(described: Described) {
    this.#described = described;
    const { label } = described;
    this.#decoder = label === null ? null : new TextDecoder(label, { fatal: true, ignoreBOM: true });
  }

  charLength(buf: Buffer, at: number, end: number): number {
    const { multiByte } = this.#described;
    return multiByte === null || buf[at]! < 0x80 ? 1 : multiByte(buf, at, end);
  }

  isNameByte(buf: Buffer, at: number, end: number): boolean | null {
    const { multiByte, single } = this.#described;
    if (multiByte !== null) {
      return multiByte(buf, at, end) > 1 || single?.(buf[at]!) ? true : null;
    }
    const char = this.decode(buf, at, at + 1);
    return char !== null && LETTER.test(char) ? true : null;
  }

  decode(buf: Buffer, start: number, end: number): string | null {
    if (isAscii(buf, start, end)) return buf.toString('latin1', start, end);
    if (this.#decoder === null || (this.#described !== BINARY && !this.#isWhole(buf, start, end)))
      return null;
    try {
      return this.#decoder.decode(buf.subarray(start, end));
    } catch {
      return null;
    }
  }

  encode(text: string): Buffer | null {
    const bytes = Buffer.from(text, 'utf8');
    return isAscii(bytes, 0, bytes.length) || this.#described.label === 'utf-8' ? bytes : null;
  }

  /** Every byte that is not ASCII belongs to a character. */
  #isWhole(buf: Buffer, start: number, end: number): boolean {
    let at = start;
    while (at < end) {
      const length = this.charLength(buf, at, end);
      if (length === 1 && buf[at]! >= 0x80 && !this.#described.single?.(buf[at]!)) return false;
      at += length;
    }
    return true;
  }
}

function isAscii(buf: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (buf[i]! >= 0x80) return false;
  return true;
}

const known = new Map<string, ClientCharset>();

/** `name` as the server has it: 'utf8mb4', 'gbk'. */
export function clientCharset(name: string): ClientCharset {
  let charset = known.get(name);
  if (charset === undefined) {
    const described = name === 'binary' ? BINARY : Object.hasOwn(CHARSETS, name) ? CHARSETS[name]! : UNKNOWN;
    charset = new KnownCharset(described);
    if (described !== UNKNOWN) known.set(name, charset);
  }
  return charset;
}
