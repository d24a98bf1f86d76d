// receipt-text.ts: a receipt as JSON in pieces, so that one of 100,000 sessions is written without holding the event loop.

import type { Receipt, ReceiptSession } from './receipt.ts';

/** About how long a piece is. UTF-16 units: a tenth of a millisecond to make and to write. */
const pieceLength = 8_192;
/** A session's calls, this many together. */
const callsTogether = 50;

/** Joined, what `JSON.stringify(receipt)` says. The receipt must not change meanwhile. */
export function* receiptPieces(receipt: Receipt): Generator<string> {
  let piece = '';
  for (const part of parts(receipt)) {
    piece += part;
    if (piece.length < pieceLength) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}

function* parts({ sessions, ...head }: Receipt): Generator<string> {
  yield opened(head, 'sessions');
  let comma = '';
  for (const session of sessions) {
    yield comma;
    yield* sessionParts(session);
    comma = ',';
  }
  yield ']}';
}

function* sessionParts(session: ReceiptSession): Generator<string> {
  if (session.calls.length <= callsTogether) {
    yield JSON.stringify(session);
    return;
  }
  const { calls, ...head } = session;
  yield opened(head, 'calls');
  for (let i = 0; i < calls.length; i += callsTogether) {
    const together = JSON.stringify(calls.slice(i, i + callsTogether));
    yield `${i === 0 ? '' : ','}${together.slice(1, -1)}`;
  }
  yield ']}';
}

/** An object's JSON up to and with the bracket of one more member, a list. */
function opened(head: object, list: string): string {
  const text = JSON.stringify(head).slice(0, -1);
  return `${text}${text === '{' ? '' : ','}"${list}":[`;
}
