#!/usr/bin/env node
// Native engines to measure sotto against, into build/bench-peers/native/: packages of npm by version and hash, none of whose scripts is run.
//
//   node bench/peers/native/install.mjs [native-llama] [native-whisper]     make native-peers
//
//   native-llama    llama.cpp as @node-llama-cpp/linux-x64 has it compiled, one library for each instruction set; the headers of the same release are
//                   in node-llama-cpp. Linux on x64 alone.
//   native-whisper  whisper.cpp, whose sources nodejs-whisper has, compiled here for this very processor (-march=native).
//
// Needs npm, tar, cc; native-llama git, native-whisper cmake and a compiler of C++. What cannot be had here is told; the rest is built.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { root } from '../../places.mjs';
import { PEERS } from '../peers.js';

const FOLDER = path.join(root, 'build/bench-peers/native');
const SOURCES = path.join(root, 'bench/peers/native');

const PACKAGES = {
  'node-llama-cpp': ['3.22.1', 'bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw=='],
  '@node-llama-cpp/linux-x64': ['3.22.1', '5uCCDNqWCNfaAm8aR/Uzxbo4HBpKgNF91kCHPepKhgMgV2OAmatoefbOlMihsqCiH2Od35E/eUHQCFbfRBJuOg=='],
  'nodejs-whisper': ['0.3.1', 'ceoilUVraRuR5FnNyXpGQT2auAR48Oc3AQBEmkXnVpSn9iN6yVRzQBFCqVTGWbk6Wdi95NhvwXNzFvuR7erLWw=='],
};

/** What a command prints; its messages are shown where it fails. */
function output(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (error) throw new Error(error.code === 'ENOENT' ? `${command} is not installed` : error.message);
  if (status !== 0) throw new Error(`${command} ${args[0]} ended with ${status}: ${(stderr.trim() || stdout.trim()).split('\n').slice(-12).join('\n')}`);
  return stdout;
}

/** A package's folder: fetched and unpacked once, after its hash was compared. */
function unpacked(name) {
  const [version, hash] = PACKAGES[name];
  const folder = path.join(FOLDER, `${name.replace(/[@/]+/g, '-').replace(/^-/, '')}-${version}`);
  if (existsSync(folder)) return path.join(folder, 'package');
  const half = `${folder}.part`;
  rmSync(half, { recursive: true, force: true });
  mkdirSync(half, { recursive: true });
  console.log(`fetching ${name} ${version}`);
  const archive = path.join(half, output('npm', 'pack', `${name}@${version}`, '--silent', '--ignore-scripts', '--pack-destination', half).trim().split('\n').at(-1));
  if (createHash('sha512').update(readFileSync(archive)).digest('base64') !== hash) throw new Error(`${name} ${version} is not what it was: its hash is another one`);
  output('tar', '-xzf', archive, '-C', half);
  rmSync(archive);
  renameSync(half, folder);
  return path.join(folder, 'package');
}

/** A program around an engine. */
function compiled(name, ...args) {
  const program = path.join(FOLDER, name);
  const flags = ['-std=gnu11', '-O3', '-march=native', '-ffast-math', '-Wall', '-Wextra'];
  output('cc', ...flags, path.join(SOURCES, `${name}.c`), '-o', program, ...args);
  return program;
}

/** A library beside others, found where it lies. */
const library = (folder, name) => [path.join(folder, name), `-Wl,-rpath,${folder}`, `-Wl,-rpath-link,${folder}`];

const BUILDERS = {
  'native-llama'() {
    if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
    const libraries = path.join(unpacked('@node-llama-cpp/linux-x64'), 'bins/linux-x64');
    const { release } = JSON.parse(readFileSync(path.join(libraries, '_nlcBuildMetadata.json'), 'utf8')).buildOptions.llamaCpp;
    const source = path.join(unpacked('node-llama-cpp'), 'llama');
    const { release: described } = JSON.parse(readFileSync(path.join(source, 'binariesGithubRelease.json'), 'utf8'));
    if (release !== described) throw new Error(`the libraries are of llama.cpp ${release}, the headers of ${described}`);
    const headers = path.join(FOLDER, `llama-headers-${release}`);
    if (!existsSync(headers)) {
      const half = `${headers}.part`;
      rmSync(half, { recursive: true, force: true });
      output('git', 'clone', '--quiet', '--no-checkout', path.join(source, 'gitRelease.bundle'), half);
      output('git', '-C', half, 'checkout', 'HEAD', '--', 'include', 'ggml/include');
      rmSync(path.join(half, '.git'), { recursive: true });
      renameSync(half, headers);
    }
    const includes = ['include', 'ggml/include'].flatMap((folder) => ['-isystem', path.join(headers, folder)]);
    const files = [`libllama.${release}.so`, `libggml.${release}.so`, 'libggml-base.so'].flatMap((name) => library(libraries, name));
    return { program: compiled('llama', ...includes, ...files), backends: libraries, version: `llama.cpp ${release}` };
  },

  'native-whisper'() {
    const source = path.join(unpacked('nodejs-whisper'), 'cpp/whisper.cpp');
    const build = path.join(FOLDER, 'whisper-build');
    const options = {
      CMAKE_BUILD_TYPE: 'Release', CMAKE_LIBRARY_OUTPUT_DIRECTORY: path.join(build, 'bin'), BUILD_SHARED_LIBS: 'ON', GGML_NATIVE: 'ON', GGML_METAL: 'OFF',
      GGML_CCACHE: 'OFF', WHISPER_BUILD_EXAMPLES: 'OFF', WHISPER_BUILD_TESTS: 'OFF',
    };
    console.log('compiling whisper.cpp');
    output('cmake', '-S', source, '-B', build, ...Object.entries(options).map(([name, value]) => `-D${name}=${value}`));
    output('cmake', '--build', build, '--target', 'whisper', '-j', String(Math.min(cpus().length, 8)));
    const includes = ['include', 'ggml/include'].flatMap((folder) => ['-isystem', path.join(source, folder)]);
    const made = process.platform === 'darwin' ? 'dylib' : 'so';
    const files = ['libwhisper', 'libggml-base'].flatMap((name) => library(path.join(build, 'bin'), `${name}.${made}`));
    const [, version] = /VERSION (\d+\.\d+\.\d+)/.exec(readFileSync(path.join(source, 'CMakeLists.txt'), 'utf8'));
    return { program: compiled('whisper', ...includes, ...files), version: `whisper.cpp ${version}` };
  },
};

const wanted = process.argv.slice(2);
const strange = wanted.find((name) => !BUILDERS[name]);
if (strange) {
  console.error(`there is no ${strange}; there are ${Object.keys(BUILDERS).join(', ')}`);
  process.exit(1);
}
mkdirSync(FOLDER, { recursive: true });
for (const name of wanted.length > 0 ? wanted : Object.keys(BUILDERS)) {
  try {
    const built = BUILDERS[name]();
    if (built) writeFileSync(path.join(root, PEERS[name].native), JSON.stringify(built, null, 2) + '\n');
    console.log(built ? `${name}: ${built.version}` : `skip: ${name}: it can be had for Linux on x64 alone`);
  } catch (error) {
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
  }
}
