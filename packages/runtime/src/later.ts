// later.ts: a promise that is made only when somebody asks for it: most sessions are waited for by nobody, or by one.

export class Later<T> {
  private made: Promise<T> | undefined;
  private settle: ((value: T) => void) | undefined;
  private value: T | undefined;
  private isSettled = false;

  /** The same one for whoever asks, before or after. */
  get promise(): Promise<T> {
    this.made ??= this.isSettled
      ? Promise.resolve(this.value as T)
      : new Promise((resolve) => {
          this.settle = resolve;
        });
    return this.made;
  }

  /** The first value stands. */
  resolve(value: T): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.value = value;
    this.settle?.(value);
  }
}
