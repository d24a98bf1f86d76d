// index.ts: what flips switches; agents do not import it.
export {};
