// tree.ts: sessions as people look for them: who started whom.

interface Placed {
  readonly path: readonly string[];
}

/** Parents before their children, roots as they came; `depth` counts those above that are in the list. */
export function inTreeOrder<T extends Placed>(list: readonly T[]): { readonly one: T; readonly depth: number }[] {
  const present = new Set(list.map(idOf));
  const children = new Map<string, T[]>();
  const roots: T[] = [];
  for (const one of list) {
    const parent = one.path.at(-2);
    if (parent === undefined || !present.has(parent)) roots.push(one);
    else {
      const siblings = children.get(parent);
      if (siblings) siblings.push(one);
      else children.set(parent, [one]);
    }
  }
  const ordered: { readonly one: T; readonly depth: number }[] = [];
  const left = roots.reverse().map((one) => ({ one, depth: 0 }));
  for (let next = left.pop(); next; next = left.pop()) {
    ordered.push(next);
    const below = children.get(idOf(next.one)) ?? [];
    children.delete(idOf(next.one));
    for (const one of below.reverse()) left.push({ one, depth: next.depth + 1 });
  }
  return ordered;
}

const idOf = ({ path }: Placed): string => path.at(-1) ?? '';
