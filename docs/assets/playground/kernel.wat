;; The one matrix product of the engine, in WebAssembly with 128-bit vectors.
;;
;;   c[row][8·block + i] += sum over k of a[row][k] · b[block][k][i]
;;
;; `a` and `c` are rows of floats, `lda` and `ldc` bytes apart. `b` is packed: block by block of
;; eight columns, `ldb` bytes apart, and in a block k by k. So the eight numbers that one step needs
;; stand side by side. A tile of 4 rows and 8 columns stays in eight registers while k runs: each
;; number loaded from `a` is used eight times, each from `b` four times.
;;
;; kernel.js holds this file assembled, in base64, and a second time with each sum of a product as one
;; instruction, f32x4.relaxed_madd, for browsers that know it. `python -m book.playground` does both;
;; tests/playground assembles them again and compares.
(module
  (import "live" "memory" (memory 1))
  (func (export "multiply")
    (param $a i32) (param $lda i32)
    (param $b i32) (param $ldb i32)
    (param $c i32) (param $ldc i32)
    (param $rows i32) (param $k i32) (param $blocks i32)
    (local $row i32) (local $left i32)
    (local $a0 i32) (local $a1 i32) (local $a2 i32) (local $a3 i32) (local $p i32)
    (local $c0 i32) (local $c1 i32) (local $c2 i32) (local $c3 i32)
    (local $x v128) (local $low v128) (local $high v128)
    (local $s00 v128) (local $s01 v128) (local $s10 v128) (local $s11 v128)
    (local $s20 v128) (local $s21 v128) (local $s30 v128) (local $s31 v128)

    (block $done
      (loop $next_block
        (br_if $done (i32.eqz (local.get $blocks)))
        (local.set $a0 (local.get $a))
        (local.set $c0 (local.get $c))
        (local.set $row (local.get $rows))

        ;; Four rows at a time.
        (block $few
          (loop $four
            (br_if $few (i32.lt_u (local.get $row) (i32.const 4)))
            (local.set $a1 (i32.add (local.get $a0) (local.get $lda)))
            (local.set $a2 (i32.add (local.get $a1) (local.get $lda)))
            (local.set $a3 (i32.add (local.get $a2) (local.get $lda)))
            (local.set $c1 (i32.add (local.get $c0) (local.get $ldc)))
            (local.set $c2 (i32.add (local.get $c1) (local.get $ldc)))
            (local.set $c3 (i32.add (local.get $c2) (local.get $ldc)))
            (local.set $s00 (v128.const i32x4 0 0 0 0))
            (local.set $s01 (v128.const i32x4 0 0 0 0))
            (local.set $s10 (v128.const i32x4 0 0 0 0))
            (local.set $s11 (v128.const i32x4 0 0 0 0))
            (local.set $s20 (v128.const i32x4 0 0 0 0))
            (local.set $s21 (v128.const i32x4 0 0 0 0))
            (local.set $s30 (v128.const i32x4 0 0 0 0))
            (local.set $s31 (v128.const i32x4 0 0 0 0))
            (local.set $p (local.get $b))
            (local.set $left (local.get $k))
            (loop $step
              (local.set $low (v128.load (local.get $p)))
              (local.set $high (v128.load offset=16 (local.get $p)))
              (local.set $x (v128.load32_splat (local.get $a0)))
              (local.set $s00 (f32x4.add (f32x4.mul (local.get $x) (local.get $low)) (local.get $s00)))
              (local.set $s01 (f32x4.add (f32x4.mul (local.get $x) (local.get $high)) (local.get $s01)))
              (local.set $x (v128.load32_splat (local.get $a1)))
              (local.set $s10 (f32x4.add (f32x4.mul (local.get $x) (local.get $low)) (local.get $s10)))
              (local.set $s11 (f32x4.add (f32x4.mul (local.get $x) (local.get $high)) (local.get $s11)))
              (local.set $x (v128.load32_splat (local.get $a2)))
              (local.set $s20 (f32x4.add (f32x4.mul (local.get $x) (local.get $low)) (local.get $s20)))
              (local.set $s21 (f32x4.add (f32x4.mul (local.get $x) (local.get $high)) (local.get $s21)))
              (local.set $x (v128.load32_splat (local.get $a3)))
              (local.set $s30 (f32x4.add (f32x4.mul (local.get $x) (local.get $low)) (local.get $s30)))
              (local.set $s31 (f32x4.add (f32x4.mul (local.get $x) (local.get $high)) (local.get $s31)))
              (local.set $a0 (i32.add (local.get $a0) (i32.const 4)))
              (local.set $a1 (i32.add (local.get $a1) (i32.const 4)))
              (local.set $a2 (i32.add (local.get $a2) (i32.const 4)))
              (local.set $a3 (i32.add (local.get $a3) (i32.const 4)))
              (local.set $p (i32.add (local.get $p) (i32.const 32)))
              (br_if $step (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            ;; One row after the other, since a row may end where the next begins.
            (v128.store (local.get $c0) (f32x4.add (v128.load (local.get $c0)) (local.get $s00)))
            (v128.store offset=16 (local.get $c0) (f32x4.add (v128.load offset=16 (local.get $c0)) (local.get $s01)))
            (v128.store (local.get $c1) (f32x4.add (v128.load (local.get $c1)) (local.get $s10)))
            (v128.store offset=16 (local.get $c1) (f32x4.add (v128.load offset=16 (local.get $c1)) (local.get $s11)))
            (v128.store (local.get $c2) (f32x4.add (v128.load (local.get $c2)) (local.get $s20)))
            (v128.store offset=16 (local.get $c2) (f32x4.add (v128.load offset=16 (local.get $c2)) (local.get $s21)))
            (v128.store (local.get $c3) (f32x4.add (v128.load (local.get $c3)) (local.get $s30)))
            (v128.store offset=16 (local.get $c3) (f32x4.add (v128.load offset=16 (local.get $c3)) (local.get $s31)))
            ;; $a3 has run through its row of k floats: the next row starts lda - 4k bytes further.
            (local.set $a0 (i32.add (i32.sub (local.get $a3) (i32.shl (local.get $k) (i32.const 2))) (local.get $lda)))
            (local.set $c0 (i32.add (local.get $c3) (local.get $ldc)))
            (local.set $row (i32.sub (local.get $row) (i32.const 4)))
            (br $four)))

        ;; What is left, row by row.
        (block $none
          (loop $one
            (br_if $none (i32.eqz (local.get $row)))
            (local.set $s00 (v128.const i32x4 0 0 0 0))
            (local.set $s01 (v128.const i32x4 0 0 0 0))
            (local.set $p (local.get $b))
            (local.set $a1 (local.get $a0))
            (local.set $left (local.get $k))
            (loop $step
              (local.set $x (v128.load32_splat (local.get $a1)))
              (local.set $s00 (f32x4.add (f32x4.mul (local.get $x) (v128.load (local.get $p))) (local.get $s00)))
              (local.set $s01 (f32x4.add (f32x4.mul (local.get $x) (v128.load offset=16 (local.get $p))) (local.get $s01)))
              (local.set $a1 (i32.add (local.get $a1) (i32.const 4)))
              (local.set $p (i32.add (local.get $p) (i32.const 32)))
              (br_if $step (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (v128.store (local.get $c0) (f32x4.add (v128.load (local.get $c0)) (local.get $s00)))
            (v128.store offset=16 (local.get $c0) (f32x4.add (v128.load offset=16 (local.get $c0)) (local.get $s01)))
            (local.set $a0 (i32.add (local.get $a0) (local.get $lda)))
            (local.set $c0 (i32.add (local.get $c0) (local.get $ldc)))
            (local.set $row (i32.sub (local.get $row) (i32.const 1)))
            (br $one)))

        (local.set $b (i32.add (local.get $b) (local.get $ldb)))
        (local.set $c (i32.add (local.get $c) (i32.const 32)))
        (local.set $blocks (i32.sub (local.get $blocks) (i32.const 1)))
        (br $next_block)))))
