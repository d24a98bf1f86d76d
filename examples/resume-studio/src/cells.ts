// cells.ts: text cut to the columns of a terminal. Names and reasons come from other people's files.

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is taken out here
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const wide =
  /\p{Extended_Pictographic}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u;

/** Columns one grapheme takes: two for East Asian wide ones and pictures (Unicode UAX #11), else one. */
function widthOf(grapheme: string): 1 | 2 {
  return wide.test(grapheme) ? 2 : 1;
}

/** Columns the text takes. */
export function width(text: string): number {
  let columns = 0;
  for (const { segment } of graphemes.segment(text)) columns += widthOf(segment);
  return columns;
}

/** One line: what would move the cursor, start an escape sequence or turn the direction of text around becomes a blank. */
export function oneLine(text: string): string {
  return text.replace(control, ' ');
}

/** Exactly `columns` wide: padded, or cut with an ellipsis. Characters that would move the cursor become blanks. */
export function cell(text: string, columns: number): string {
  const clean = oneLine(text);
  if (columns <= 0) return '';
  let used = 0;
  let shown = '';
  let fitting = '';
  let fittingWidth = 0;
  for (const { segment } of graphemes.segment(clean)) {
    const next = used + widthOf(segment);
    if (next > columns) return `${fitting}…${' '.repeat(columns - fittingWidth - 1)}`;
    used = next;
    shown += segment;
    if (used <= columns - 1) {
      fitting = shown;
      fittingWidth = used;
    }
  }
  return shown + ' '.repeat(columns - used);
}
