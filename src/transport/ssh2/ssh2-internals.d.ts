/** What of ssh2's insides is looked at, which its types leave out. */
declare module 'ssh2/lib/protocol/crypto.js' {
  const internals: { bindingAvailable: boolean };
  export default internals;
}
