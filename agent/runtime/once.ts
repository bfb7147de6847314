/** `compute`, once for each object and kept as long as that is: only for objects that nobody changes. */
export function oncePer<K extends object, V>(compute: (of: K) => V): (of: K) => V {
  const known = new WeakMap<K, { readonly value: V }>();
  return (of) => {
    let one = known.get(of);
    if (one === undefined) {
      one = { value: compute(of) };
      known.set(of, one);
    }
    return one.value;
  };
}
