// Runs headless Chromium with one page, and hands it line by line what a test writes. The language is that of
// ../control/control.go; what the page knows of it is in page.js. Only reload is answered here.
//
//   flags -> bundle -> Chromium -> page -> {"event":"ready"} -> one promise a command -> end of stdin -> close
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'

const { values: flags } = parseArgs({
  options: {
    chromium: { type: 'string' }, // the program
    site: { type: 'string' }, // the folder that is served
    page: { type: 'string' }, // where
    trust: { type: 'string' } // SHA-256 of the public key that a certificate may have without an authority, in base64
  }
})

const print = (reply) => process.stdout.write(JSON.stringify(reply) + '\n')

await build({
  absWorkingDir: import.meta.dirname, entryPoints: ['page.js'], outdir: flags.site, bundle: true, format: 'esm', logLevel: 'warning'
})
const browser = await chromium.launch({
  executablePath: flags.chromium,
  args: ['--disable-gpu', '--no-proxy-server', `--ignore-certificate-errors-spki-list=${flags.trust}`]
})
const page = await browser.newPage()
page.on('console', (msg) => console.error(`${msg.type()}: ${msg.text()}`))
page.on('pageerror', (err) => console.error(err))
page.on('crash', () => {
  console.error('the page has crashed')
  process.exit(1)
})

// load makes a new peer of the page. Whom the last one was connected to is not told.
async function load () {
  await page.goto(flags.page)
  return page.evaluate(() => window.ready())
}

async function answer (req) {
  try {
    if (req.cmd === 'reload') {
      return { ...await load(), id: req.id, event: 'result' }
    }
    return await page.evaluate((req) => window.answer(req), req)
  } catch (err) {
    return { id: req.id, event: 'error', error: err.message }
  }
}

print(await load())

const running = new Set()
for await (const line of createInterface({ input: process.stdin })) {
  const done = answer(JSON.parse(line)).then(print).finally(() => running.delete(done))
  running.add(done)
}
await browser.close()
await Promise.allSettled(running)
process.exit(0)
