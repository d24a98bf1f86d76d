// output.ts: what is printed, until nobody reads it any more: the pipe was closed (`| head`), or the terminal.
//
// A write to a closed pipe fails as an `error` of the stream, and one that nobody listens to ends the process there and
// then: agents would be cut off in the middle of a turn because somebody had seen enough.

export interface Output {
  /** One line on stdout; once nobody reads that, on stderr, and then nowhere. */
  say(line: string): void;
  /** False once a write to stdout has failed. */
  isRead(): boolean;
  /** Resolves when a write to either has failed. */
  readonly unread: Promise<'unread'>;
}

/** Listens from now on and for good: a write on its way may fail after the last one. */
export function openOutput(): Output {
  const { stdout, stderr } = process;
  const read = new Set([stdout, stderr]);
  const unread = new Promise<'unread'>((resolve) => {
    for (const stream of [stdout, stderr]) {
      stream.on('error', () => {
        read.delete(stream);
        resolve('unread');
      });
    }
  });
  return {
    say: (line) => {
      const [stream] = read;
      stream?.write(`${line}\n`);
    },
    isRead: () => read.has(stdout),
    unread,
  };
}
