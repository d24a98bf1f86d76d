// journal-line.ts: one record as one line, `<crc32, 8 hex digits> <json>\n`, and a segment of such lines read back.
//
// Only an incomplete last line is what a crash leaves. Anything else that does not read is damage, and is said so.

import { crc32 } from 'node:zlib';
import type { JournalRecord } from '../journal.ts';
import type { Steps } from '../steps.ts';

/** Written by `forget`; for the bookkeeping of segments and not for the runtime. */
export interface ForgottenRecord {
  readonly t: 'forgotten';
  readonly root: string;
}

const prefixBytes = 9;
const newline = 10;

/** Throws what `JSON.stringify` throws: the caller knows whose value it is. */
export function encodeLine(record: JournalRecord | ForgottenRecord): Buffer {
  const line = Buffer.from(`00000000 ${JSON.stringify(record)}\n`);
  line.write(hex(crc32(line.subarray(prefixBytes, line.length - 1))), 0, 8, 'latin1');
  return line;
}

export interface Segment {
  readonly records: readonly JournalRecord[];
  readonly forgotten: readonly string[];
  /** Bytes after the last newline: a record that was being written. */
  readonly tailBytes: number;
  /** The first byte of the first line that does not read, and what is wrong with it. */
  readonly damage?: { readonly offset: number; readonly what: string };
}

/** A step for each line. */
export function* decodeSegment(bytes: Buffer): Steps<Segment> {
  const records: JournalRecord[] = [];
  const forgotten: string[] = [];
  let offset = 0;
  for (;;) {
    const end = bytes.indexOf(newline, offset);
    if (end === -1) return { records, forgotten, tailBytes: bytes.length - offset };
    const record = decodeLine(bytes.subarray(offset, end));
    if (typeof record === 'string') return { records, forgotten, tailBytes: 0, damage: { offset, what: record } };
    if (record.t === 'forgotten') forgotten.push(record.root);
    else records.push(record);
    offset = end + 1;
    yield;
  }
}

/** The record, or what is wrong with the line. */
function decodeLine(line: Buffer): JournalRecord | ForgottenRecord | string {
  if (line.length <= prefixBytes || line[8] !== 32) return 'a line without a checksum';
  const json = line.subarray(prefixBytes);
  if (line.toString('latin1', 0, 8) !== hex(crc32(json))) return 'a checksum that does not match';
  try {
    const record = JSON.parse(json.toString('utf8')) as Partial<Record<string, unknown>> | null;
    const isRecord = typeof record === 'object' && record !== null && typeof record.t === 'string';
    if (isRecord && typeof (record.t === 'forgotten' ? record.root : record.s) === 'string')
      return record as unknown as JournalRecord;
    return 'a line that is no record';
  } catch {
    return 'a line that is no JSON';
  }
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}
