// What a view asks the server for, with the error in words where it cannot be had.
import { useCallback, useEffect, useState } from 'preact/hooks'
import { ask, onKey } from './api'

export const words = (error: unknown) => (error instanceof Error ? error.message : String(error))

export function useLoaded<T>(path: string) {
  const [value, setValue] = useState<T | null>(null)
  const [problem, setProblem] = useState('')
  const load = useCallback(async () => {
    try {
      setValue(await ask<T>('GET', path))
      setProblem('')
    } catch (error) {
      setProblem(words(error))
    }
  }, [path])
  useEffect(() => {
    void load()
    return onKey(() => void load())
  }, [load])
  return { value, problem, load }
}

// Runs something that a button is for: one at a time, and its error in words.
export function useAction(after: () => void = () => {}) {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState('')
  const run = async (work: () => Promise<unknown>) => {
    setBusy(true)
    setProblem('')
    try {
      await work()
      after()
    } catch (error) {
      setProblem(words(error))
    }
    setBusy(false)
  }
  return { busy, problem, run }
}
