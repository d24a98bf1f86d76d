export { blockPath, flipByte, readOnly, truncateTail, type Undo } from './folder-faults.ts';
export { type ManualClock, manualClock } from './manual-clock.ts';
export { type FlipWords, type MemorySource, type MemorySourceOptions, memorySource } from './memory-source.ts';
export { describeSwitchSource } from './source-contract.ts';
export { contractSwitches, type SourceContractOptions, type SourceHarness } from './source-harness.ts';
export { describeStateStore, type StoreHarness } from './store-contract.ts';
