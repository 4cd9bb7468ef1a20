import { mount } from 'svelte'
import App from './App.svelte'
import './app.css'
import { registerWorker } from './lib/page'

const target = document.getElementById('app')
if (target) mount(App, { target })
registerWorker()
