// header.ts: keys and tokens as the header they are sent in.

/**
 * What is wrong with a key, as the end of a sentence that does not hold it; undefined: nothing. Looked at before it is sent: the
 * platform quotes a header that it refuses, and an SDK throws where nobody catches.
 */
export function wrongInHeader(secret: string | undefined): string | undefined {
  return secret === undefined || /^[\x21-\x7e]+$/.test(secret)
    ? undefined
    : 'holds a blank, a line break or another character that none has (read from a file? trim it)';
}
