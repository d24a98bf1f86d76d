// index.ts: what an application imports.
export {};
