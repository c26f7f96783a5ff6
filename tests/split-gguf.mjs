// Splits GGUF files as other tools do: the metadata in the first part, some of the tensors in each.

/** The bytes of a GGUF file again as `parts` files: [name, bytes]. */
export function splitGguf(b, stem, parts) {
  const u64 = (at) => Number(b.readBigUInt64LE(at));
  const widths = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];
  const skip = (at, type) => {
    if (type === 8) return at + 8 + u64(at);
    if (type !== 9) return at + widths[type];
    const element = b.readUInt32LE(at);
    let next = at + 12;
    for (let i = u64(at + 4); i > 0; i--) next = skip(next, element);
    return next;
  };
  const nTensors = u64(8);
  const nValues = u64(16);
  let at = 24;
  for (let i = 0; i < nValues; i++) {
    at += 8 + u64(at);
    at = skip(at + 4, b.readUInt32LE(at));
  }
  const metadata = b.subarray(24, at);
  const tensors = [];
  for (let i = 0; i < nTensors; i++) {
    const begin = at;
    at += 8 + u64(at);
    at += 4 + 8 * b.readUInt32LE(at) + 4 + 8;
    tensors.push({ info: Buffer.from(b.subarray(begin, at)), offset: u64(at - 8) });
  }
  const aligned = (n) => Math.ceil(n / 32) * 32;
  const data = aligned(at);
  const order = [...tensors].sort((x, y) => x.offset - y.offset);
  order.forEach((t, i) => (t.bytes = b.subarray(data + t.offset, i + 1 < order.length ? data + order[i + 1].offset : b.length)));
  const value = (key, type, number) => {
    const out = Buffer.alloc(8 + key.length + 4 + (type === 2 ? 2 : 4));
    out.writeBigUInt64LE(BigInt(key.length), 0);
    out.write(key, 8);
    out.writeUInt32LE(type, 8 + key.length);
    if (type === 2) out.writeUInt16LE(number, 12 + key.length);
    else out.writeInt32LE(number, 12 + key.length);
    return out;
  };
  return Array.from({ length: parts }, (_, part) => {
    const mine = order.slice(Math.floor((part * nTensors) / parts), Math.floor(((part + 1) * nTensors) / parts));
    const start = Buffer.alloc(24);
    start.write('GGUF');
    start.writeUInt32LE(3, 4);
    start.writeBigUInt64LE(BigInt(mine.length), 8);
    start.writeBigUInt64LE(BigInt((part === 0 ? nValues : 0) + 3), 16);
    let offset = 0;
    for (const t of mine) {
      t.info.writeBigUInt64LE(BigInt(offset), t.info.length - 8);
      offset += aligned(t.bytes.length);
    }
    const head = Buffer.concat([start, ...(part === 0 ? [metadata] : []), value('split.no', 2, part), value('split.count', 2, parts),
      value('split.tensors.count', 5, nTensors), ...mine.map((t) => t.info)]);
    const pad = (bytes) => [bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)];
    const number = (n) => String(n).padStart(5, '0');
    const bytes = Buffer.concat([...pad(head), ...mine.flatMap((t) => pad(t.bytes))]);
    return [`${stem}-${number(part + 1)}-of-${number(parts)}.gguf`, bytes];
  });
}
