// failure.ts: failures in the journal. The journal keeps a failure as text; a run that is taken up again must see the
// same failure as the first time: the same words for the model, and the same answer to "may this be tried again?".

const retryable = ' [may be retried]';
const thrownText = 'thrown text';
const thrownValue = 'thrown value';

/** The error as it is written down: name, message, and whether the SDK would have tried again. */
export function toRecord(error: unknown): Error {
  const { name, message } = wordsOf(error);
  return Object.assign(new Error(isRetryable(error) ? message + retryable : message), { name });
}

/** What was thrown in an earlier life, as the SDK must see it. */
export function fromRecord(error: Error): unknown {
  // The journal's text is `name: message`.
  const [, name = 'Error', text = error.message] = /^([^:\n]*): ([\s\S]*)$/.exec(error.message) ?? [];
  if (name === thrownText) return text;
  if (name === thrownValue) return JSON.parse(text);
  if (!text.endsWith(retryable)) return Object.assign(new Error(text), { name });
  return Object.assign(new Error(text.slice(0, -retryable.length)), {
    name,
    isRetryable: true,
    // It has been waited for in the earlier life.
    responseHeaders: { 'retry-after-ms': '0' },
    // By these marks the SDK, both majors, knows its own errors across copies of itself.
    [Symbol.for('vercel.ai.error')]: true,
    [Symbol.for('vercel.ai.error.AI_APICallError')]: true,
  });
}

/** What is no error is kept as it is, since the SDK words it otherwise for the model. */
function wordsOf(error: unknown): { readonly name: string; readonly message: string } {
  if (error instanceof Error) return { name: error.name.replaceAll(/[:\n]/g, ' '), message: error.message };
  if (typeof error === 'string') return { name: thrownText, message: error };
  try {
    return { name: thrownValue, message: JSON.stringify(error) ?? 'null' };
  } catch {
    return { name: 'Error', message: 'an error that cannot be shown' };
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof Error && (error as { readonly isRetryable?: unknown }).isRetryable === true;
}
