import { relative } from 'node:path';

/** A reporter for `node --test-reporter`: the tests that did not run here, and why not. */
export default async function* reportSkipped(source) {
  let count = 0;
  for await (const { type, data } of source) {
    if (type !== 'test:pass' || data.skip === undefined || data.skip === false) continue;
    if (count++ === 0) yield '\nnot run here:\n';
    const file = data.file === undefined ? '' : `${relative('', data.file)}: `;
    const reason = data.skip === true || data.skip === '' ? 'no reason given' : data.skip;
    yield `  ${file}${data.name}\n    ${reason}\n`;
  }
}
